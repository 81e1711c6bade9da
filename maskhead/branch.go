package maskhead

import (
	"fmt"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// BranchConfig describes the mask branch. The zero value of a field means the paper's.
type BranchConfig struct {
	Width    int // channels of the branch: 128
	Channels int // of the mask features: 8
	Levels   int // pyramid levels that are merged, from the finest on: 3
	Convs    int // 3×3 convolutions after the merge: 4
}

func (c BranchConfig) withDefaults() BranchConfig {
	for _, f := range []struct {
		field    *int
		standard int
	}{{&c.Width, 128}, {&c.Channels, 8}, {&c.Levels, 3}, {&c.Convs, 4}} {
		if *f.field == 0 {
			*f.field = f.standard
		}
	}
	return c
}

// Branch is the mask branch: one 3×3 convolution a level, upsampled and added on
// the finest level, a tower of 3×3 convolutions, and a 1×1 convolution.
type Branch struct {
	Refine []*nn.Conv2d
	Tower  []*nn.Conv2d
	Last   *nn.Conv2d
	eager  bool
}

// NewBranch reads a pyramid of in channels. Parameters: mask_refine.* and mask_head.*.
func NewBranch(p nn.Path, in int, c BranchConfig) (*Branch, error) {
	c = c.withDefaults()
	if in <= 0 || c.Width < 0 || c.Channels < 0 || c.Levels < 0 || c.Convs < 0 {
		return nil, fmt.Errorf("maskhead: mask branch on %d channels: %+v", in, c)
	}
	conv := func(at nn.Path, from int) *nn.Conv2d {
		norm := at.Sub(1)
		return nn.NewConv2d(at.Sub(0), from, c.Width,
			nn.ConvOptions{Kernel: 3, Norm: nn.BatchNorm, NormAt: &norm, ReLU: true})
	}
	b := &Branch{eager: p.Eager()}
	for i := range c.Levels {
		b.Refine = append(b.Refine, conv(p.Sub("mask_refine", i), in))
	}
	for i := range c.Convs {
		b.Tower = append(b.Tower, conv(p.Sub("mask_head", i), c.Width))
	}
	b.Last = nn.NewConv2d(p.Sub("mask_head", c.Convs), c.Width, c.Channels, nn.ConvOptions{Bias: true, Init: nn.KaimingUniform})
	return b, nil
}

// Forward maps a pyramid, finest level (B,C,H,W) first, to mask features (B,Channels,H,W).
func (b *Branch) Forward(levels []*torch.Tensor) *torch.Tensor {
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
	for _, c := range b.Tower {
		x = c.Forward(x)
		s.Release(mark, x)
	}
	x = b.Last.Forward(x)
	s.Release(mark, x)
	return x
}

// AlignedBilinear upsamples (B,C,h,w) by a whole factor f so that the pixel
// centres stay aligned: one replicated row and column after, bilinear with aligned
// corners to (f·h+1, f·w+1), f/2 replicated before, the first f·h × f·w kept.
func AlignedBilinear(x *torch.Tensor, f int) *torch.Tensor {
	if f == 1 {
		return x
	}
	if !x.Device().IsCUDA() && x.DType() != torch.Float16 {
		return x.UpsampleAligned(f)
	}
	return composedBilinear(x, f)
}

// composedBilinear is AlignedBilinear of LibTorch's operators, for devices without the
// fused kernel.
func composedBilinear(x *torch.Tensor, f int) *torch.Tensor {
	h, w := x.Size(2)*f, x.Size(3)*f
	y := x.ReplicationPad2d(0, 1, 0, 1).UpsampleBilinear2d([]int{h + 1, w + 1}, true)
	return y.ReplicationPad2d(f/2, 0, f/2, 0).Narrow(2, 0, h).Narrow(3, 0, w)
}
