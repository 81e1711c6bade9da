package backbone

import (
	"fmt"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// ResNetFPN is a ResNet below a Feature Pyramid Network, the paper's default backbone.
type ResNetFPN struct {
	ResNet   ResNet
	Channels int // channels of every pyramid level; default 256
}

// Build returns the backbone. Its parameters have Detectron2's names: bottom_up.* and
// fpn_*. It returns an error for a depth that does not exist or negative sizes.
func (c ResNetFPN) Build(p nn.Path) (Backbone, error) {
	bottom, err := newResNet(p.Sub("bottom_up"), c.ResNet)
	if err != nil {
		return nil, err
	}
	return newFPN(p, bottom, c.Channels)
}

// fpn is a Feature Pyramid Network (Lin et al. 2017): 1×1 laterals, nearest ×2
// top-down sums, 3×3 outputs. Levels p2 … p5 of strides 4 … 32.
type fpn struct {
	bottom          bottomUp
	lateral, output []*nn.Conv2d
	width           int
}

func newFPN(p nn.Path, bottom bottomUp, channels int) (*fpn, error) {
	if channels == 0 {
		channels = 256
	}
	if channels < 0 {
		return nil, fmt.Errorf("backbone: a feature pyramid of %d channels: want a positive number, or 0 for the default", channels)
	}
	f := &fpn{bottom: bottom, width: channels}
	for i, in := range bottom.channels() {
		o := nn.ConvOptions{Bias: true, Init: nn.CaffeXavier}
		f.lateral = append(f.lateral, nn.NewConv2d(p.Sub(fmt.Sprintf("fpn_lateral%d", i+2)), in, channels, o))
		o.Kernel = 3
		f.output = append(f.output, nn.NewConv2d(p.Sub(fmt.Sprintf("fpn_output%d", i+2)), channels, channels, o))
	}
	return f, nil
}

func (f *fpn) Strides() []int { return []int{4, 8, 16, 32} }

func (f *fpn) Channels() int { return f.width }

func (f *fpn) Forward(x *torch.Tensor) []*torch.Tensor {
	s := x.Scope()
	mark := s.Mark()
	features := f.bottom.features(x)
	out := make([]*torch.Tensor, len(features))
	var above *torch.Tensor
	for i := len(features) - 1; i >= 0; i-- {
		sum := f.lateral[i].Forward(features[i])
		if above != nil {
			sum = sum.AddInPlace(above.UpsampleNearest2d(sum.Shape()[2:]...))
		}
		out[i] = f.output[i].Forward(sum)
		above = sum
		s.Release(mark, append(append([]*torch.Tensor{above}, out[i:]...), features[:i]...)...)
	}
	s.Release(mark, out...)
	return out
}
