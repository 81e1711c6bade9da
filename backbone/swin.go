package backbone

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/diffusioninst/go/nn"
)

// SwinFPN is a Swin Transformer below a Feature Pyramid Network. When it is built for
// training (in a store without Inference) the backbone also implements [Stochastic].
type SwinFPN struct {
	Swin     Swin
	Channels int // channels of every pyramid level; default 256
}

// Build returns the backbone. Its parameters have the reference's names: bottom_up.* and
// fpn_*. It returns an error if no Swin Transformer has such a configuration.
func (c SwinFPN) Build(p nn.Path) (Backbone, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	bottom, err := newSwin(p.Sub("bottom_up"), c.Swin)
	if err != nil {
		return nil, err
	}
	pyramid, err := newFPN(p, bottom, c.Channels)
	if err != nil {
		return nil, err
	}
	if p.Inference() {
		return pyramid, nil
	}
	return stochasticFPN{pyramid, bottom}, nil
}

// A Stochastic is a Backbone that draws random numbers while gradients are recorded, such
// as for stochastic depth.
type Stochastic interface {
	// Reseed restarts the backbone's random numbers from a seed. The initial seed is 0.
	Reseed(seed uint64)
	// RandomState returns the state of the random numbers, for a checkpoint. It must be
	// called inside of torch.Do.
	RandomState() []byte
	// SetRandomState continues from a state that RandomState returned. It returns an error
	// and changes nothing if state is something else, which the state of another LibTorch
	// release may be. It must be called inside of torch.Do.
	SetRandomState(state []byte) error
}

// stochasticFPN is a pyramid over a network with stochastic depth.
type stochasticFPN struct {
	*fpn
	bottom *swin
}

func (f stochasticFPN) Reseed(seed uint64) { f.bottom.random.reseed(seed) }

func (f stochasticFPN) RandomState() []byte { return f.bottom.random.state() }

func (f stochasticFPN) SetRandomState(state []byte) error { return f.bottom.random.setState(state) }

// A Swin describes a Swin Transformer (Liu et al., arXiv 2103.14030) for detection: four
// stages of strides 4, 8, 16 and 32, each followed by a layer norm. A field that is zero
// has the value of Size.
type Swin struct {
	Size     string  // a name that SwinOfSize accepts; default "T"
	EmbedDim int     // channels of the first stage, doubled by each later one
	Depths   [4]int  // blocks of each stage
	Heads    [4]int  // attention heads of each stage, divisors of its channels
	Window   int     // side of an attention window in tokens
	MLPRatio float64 // ratio of a block's hidden channels to its channels; default 4
	DropRate float64 // stochastic depth in training: the probability at the last block; negative for none
}

// swins are the sizes that the reference's configurations name. The published weights of
// those with 22k were trained on ImageNet-22K, those with 384 on pictures of 384 pixels
// with a window of 12. XXS is for tests.
var swins = map[string]Swin{
	"XXS":       {EmbedDim: 24, Depths: [4]int{2, 2, 4, 2}, Heads: [4]int{1, 2, 4, 8}, Window: 7, DropRate: 0.2},
	"T":         {EmbedDim: 96, Depths: [4]int{2, 2, 6, 2}, Heads: [4]int{3, 6, 12, 24}, Window: 7, DropRate: 0.2},
	"S":         {EmbedDim: 96, Depths: [4]int{2, 2, 18, 2}, Heads: [4]int{3, 6, 12, 24}, Window: 7, DropRate: 0.2},
	"B":         swinB(7),
	"B-22k":     swinB(7),
	"B-22k-384": swinB(12),
	"L":         swinL(7),
	"L-22k":     swinL(7),
	"L-22k-384": swinL(12),
}

func swinB(window int) Swin {
	return Swin{EmbedDim: 128, Depths: [4]int{2, 2, 18, 2}, Heads: [4]int{4, 8, 16, 32}, Window: window, DropRate: 0.3}
}

func swinL(window int) Swin {
	return Swin{EmbedDim: 192, Depths: [4]int{2, 2, 18, 2}, Heads: [4]int{6, 12, 24, 48}, Window: window, DropRate: 0.3}
}

// SwinOfSize returns the network that a Detectron2 configuration names in
// MODEL.SWIN.SIZE: T, S, B, L, B-22k, L-22k, or B-22k-384 and L-22k-384 with a window of
// 12. It returns an error for other names.
func SwinOfSize(name string) (Swin, error) {
	c, ok := swins[name]
	if !ok {
		known := slices.Sorted(maps.Keys(swins))
		return Swin{}, fmt.Errorf("backbone: Swin Transformer of size %q: want one of %s", name, strings.Join(known, ", "))
	}
	c.Size = name
	return c, nil
}

func (c Swin) withDefaults() (Swin, error) {
	if c.Size == "" {
		c.Size = "T"
	}
	size, err := SwinOfSize(c.Size)
	if err != nil {
		return c, err
	}
	c.EmbedDim = orInt(c.EmbedDim, size.EmbedDim)
	for i := range c.Depths {
		c.Depths[i] = orInt(c.Depths[i], size.Depths[i])
		c.Heads[i] = orInt(c.Heads[i], size.Heads[i])
	}
	c.Window = orInt(c.Window, size.Window)
	if c.MLPRatio == 0 {
		c.MLPRatio = 4
	}
	if c.DropRate == 0 {
		c.DropRate = size.DropRate
	}
	c.DropRate = max(c.DropRate, 0)
	return c, c.check()
}

func (c Swin) check() error {
	switch {
	case c.EmbedDim < 1 || c.Window < 1:
		return fmt.Errorf("backbone: Swin Transformer with %d channels and window %d: both must be positive", c.EmbedDim, c.Window)
	case !(c.DropRate < 1):
		return fmt.Errorf("backbone: Swin Transformer with drop rate %v: it must be below 1", c.DropRate)
	}
	for i, heads := range c.Heads {
		width := c.EmbedDim << i
		if c.Depths[i] < 1 || heads < 1 || width%heads != 0 {
			return fmt.Errorf("backbone: Swin Transformer stage %d has %d blocks of %d heads over %d channels: want positive numbers, and heads that divide the channels", i, c.Depths[i], heads, width)
		}
		if hidden := float64(width) * c.MLPRatio; !(hidden >= 1 && hidden < math.MaxInt32) {
			return fmt.Errorf("backbone: Swin Transformer with MLPRatio %v: want a positive number", c.MLPRatio)
		}
	}
	return nil
}

func orInt(value, standard int) int {
	if value != 0 {
		return value
	}
	return standard
}
