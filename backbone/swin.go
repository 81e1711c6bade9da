package backbone

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/diffusioninst/go/nn"
)

// SwinFPN is a Swin Transformer below a Feature Pyramid Network. For training
// (a store without Inference) the backbone is also a Stochastic.
type SwinFPN struct {
	Swin     Swin
	Channels int // of every pyramid level; 0 means 256
}

// Build makes the backbone with the reference's parameter names: bottom_up.* and
// fpn_*. A configuration that fits no Swin Transformer is an error.
func (c SwinFPN) Build(p nn.Path) (Backbone, error) {
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

// Stochastic is what a Backbone has beside its methods if it is random while
// gradients are recorded, as stochastic depth is.
type Stochastic interface {
	// Reseed starts the backbone's random numbers anew. Without it they start from 0.
	Reseed(seed uint64)
	// RandomState is the state of the random numbers, for a checkpoint. It must be called
	// inside torch.Do, as SetRandomState.
	RandomState() []byte
	// SetRandomState continues from what RandomState gave. Other bytes are an error and
	// change nothing; so may be those of another version of LibTorch.
	SetRandomState(state []byte) error
}

// stochasticFPN is a pyramid whose bottom drops blocks in training.
type stochasticFPN struct {
	*fpn
	bottom *swin
}

func (f stochasticFPN) Reseed(seed uint64) { f.bottom.random.reseed(seed) }

func (f stochasticFPN) RandomState() []byte { return f.bottom.random.state() }

func (f stochasticFPN) SetRandomState(state []byte) error { return f.bottom.random.setState(state) }

// Swin describes a Swin Transformer (Liu et al. 2021) as detectors use it: four
// stages of strides 4, 8, 16 and 32, each with a layer norm behind it. Fields that
// are zero are those of Size.
type Swin struct {
	Size     string  // as for SwinOfSize; "" means "T"
	EmbedDim int     // channels of the first stage, doubled by each later one
	Depths   [4]int  // blocks of each stage
	Heads    [4]int  // attention heads of each stage; they divide its channels
	Window   int     // side of an attention window in tokens
	MLPRatio float64 // hidden channels of a block's perceptron to its channels: 4
	DropRate float64 // of stochastic depth in training, reached at the last block; negative for none
}

// swins are the sizes that the reference's configurations name. Those with 22k
// differ in what the published weights were trained on: ImageNet-22K, with 384
// pictures of 384 pixels and a window of 12. XXS is for tests.
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

// SwinOfSize is the network that a Detectron2 configuration names in
// MODEL.SWIN.SIZE: T, S, B, L, B-22k, L-22k, or with window 12 B-22k-384 and
// L-22k-384. Other names are an error.
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
		return fmt.Errorf("backbone: Swin Transformer with %d channels and window %d: they must be positive", c.EmbedDim, c.Window)
	case !(c.DropRate < 1):
		return fmt.Errorf("backbone: Swin Transformer with drop rate %v: it must be below 1", c.DropRate)
	}
	for i, heads := range c.Heads {
		width := c.EmbedDim << i
		if c.Depths[i] < 1 || heads < 1 || width%heads != 0 {
			return fmt.Errorf("backbone: Swin Transformer whose stage %d has %d blocks of %d heads over %d channels", i, c.Depths[i], heads, width)
		}
		if hidden := float64(width) * c.MLPRatio; !(hidden >= 1 && hidden < math.MaxInt32) {
			return fmt.Errorf("backbone: Swin Transformer with perceptrons of ratio %v", c.MLPRatio)
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
