package maskhead

import (
	"fmt"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A BranchConfig describes a mask branch. A field that is zero has the paper's value.
type BranchConfig struct {
	Width    int // channels of the branch; default 128
	Channels int // channels of the mask features; default 8
	Levels   int // pyramid levels that are merged, from the finest on; default 3
	Convs    int // 3×3 convolutions after the merge; default 4, negative for none
	// Upsample is the factor, 1, 2, 4 or 8, by which the mask features are larger than
	// the finest level: dynamic heads then draw finer masks, with the same parameters, at the
	// square of the cost. Default 1.
	Upsample int `json:",omitempty"`
	// Coordinates adds two channels to the mask features, for a Head with Coordinates: x+½ and y+½ of their pixels.
	Coordinates bool `json:",omitempty"`
}

func (c BranchConfig) withDefaults() BranchConfig {
	for _, f := range []struct {
		field    *int
		standard int
	}{{&c.Width, 128}, {&c.Channels, 8}, {&c.Levels, 3}, {&c.Convs, 4}, {&c.Upsample, 1}} {
		if *f.field == 0 {
			*f.field = f.standard
		}
	}
	return c
}

// A Branch is a mask branch: a 3×3 convolution per level, whose results are upsampled to
// the finest level and added, a tower of 3×3 convolutions, and a 1×1 convolution.
type Branch struct {
	Refine []*nn.Conv2d
	Tower  []*nn.Conv2d
	Last   *nn.Conv2d
	// Upsample is that of the BranchConfig.
	Upsample    int
	coordinates bool
	eager       bool
}

// NewBranch returns a mask branch for a pyramid with the given number of channels. Its
// parameters below p are mask_refine.* and mask_head.*. It returns an error if a size is
// negative; what is wrong with parameters is reported by nn.Store.Err.
func NewBranch(p nn.Path, in int, c BranchConfig) (*Branch, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	if in < 1 || c.Width < 0 || c.Channels < 0 || c.Levels < 0 {
		return nil, fmt.Errorf("maskhead: a branch over %d channels with %+v: want positive sizes, or 0 for the defaults", in, c)
	}
	if c.Upsample < 1 || c.Upsample > 8 || c.Upsample&(c.Upsample-1) != 0 {
		return nil, fmt.Errorf("maskhead: a branch that upsamples its features by %d: want 1, 2, 4 or 8", c.Upsample)
	}
	conv := func(at nn.Path, from int) *nn.Conv2d {
		norm := at.Sub(1)
		return nn.NewConv2d(at.Sub(0), from, c.Width,
			nn.ConvOptions{Kernel: 3, Norm: nn.BatchNorm, NormAt: &norm, ReLU: true})
	}
	b := &Branch{Upsample: c.Upsample, coordinates: c.Coordinates, eager: p.Eager()}
	for i := range c.Levels {
		b.Refine = append(b.Refine, conv(p.Sub("mask_refine", i), in))
	}
	for i := range c.Convs {
		b.Tower = append(b.Tower, conv(p.Sub("mask_head", i), c.Width))
	}
	b.Last = nn.NewConv2d(p.Exact().Sub("mask_head", max(c.Convs, 0)), c.Width, c.Channels, nn.ConvOptions{Bias: true, Init: nn.KaimingUniform})
	return b, nil
}

// Forward returns the mask features (B,Channels,u·H,u·W), or two channels more with Coordinates, of a pyramid, whose finest level
// (B,C,H,W) comes first; u is Upsample. In inference they are of the parameters' type, in which instances' filters
// multiply them.
// A pyramid of fewer levels than the branch merges is a panic with *torch.Error.
func (b *Branch) Forward(levels []*torch.Tensor) *torch.Tensor {
	if len(levels) < len(b.Refine) {
		panic(&torch.Error{Op: "mask_branch", Message: fmt.Sprintf("a pyramid of %d levels, of which %d are to be merged", len(levels), len(b.Refine))})
	}
	s := levels[0].Scope()
	mark := s.Mark()
	upsample := AlignedBilinear
	if b.eager {
		upsample = composedBilinear
	}
	x := b.Refine[0].Forward(levels[0])
	for i, refine := range b.Refine[1:] {
		y := refine.Forward(levels[i+1])
		x = x.Add(upsample(y, x.Size(2)/y.Size(2)))
		s.Release(mark, x)
	}
	for i, c := range b.Tower {
		next := b.Last
		if i+1 < len(b.Tower) {
			next = b.Tower[i+1]
		}
		x = c.ForwardInto(x, next)
		s.Release(mark, x)
	}
	x = b.Last.Forward(x)
	if b.Upsample > 1 { // with pixel centres where targets and masks have them: (i+½)·stride
		x = x.UpsampleBilinear2d([]int{x.Size(2) * b.Upsample, x.Size(3) * b.Upsample}, false)
	}
	if b.coordinates {
		x = withPlaces(x)
	}
	s.Release(mark, x)
	return x
}

// AlignedBilinear returns x (B,C,h,w) upsampled to (B,C,f·h,f·w) so that pixel centres
// stay aligned: it pads one replicated row and column at the end, resizes bilinearly
// with aligned corners to (f·h+1, f·w+1), pads f/2 replicated ones at the start, and
// keeps the first f·h × f·w.
func AlignedBilinear(x *torch.Tensor, f int) *torch.Tensor {
	if f == 1 {
		return x
	}
	if !x.Device().IsCUDA() && x.DType() != torch.Float16 {
		return x.UpsampleAligned(f)
	}
	return composedBilinear(x, f)
}

// composedBilinear is AlignedBilinear composed of LibTorch's operators, for devices and
// types without the fused kernel.
func composedBilinear(x *torch.Tensor, f int) *torch.Tensor {
	h, w := x.Size(2)*f, x.Size(3)*f
	y := x.ReplicationPad2d(0, 1, 0, 1).UpsampleBilinear2d([]int{h + 1, w + 1}, true)
	return y.ReplicationPad2d(f/2, 0, f/2, 0).Narrow(2, 0, h).Narrow(3, 0, w)
}
