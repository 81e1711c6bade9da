package backbone

import (
	"fmt"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A ResNet describes a residual network (He et al., arXiv 1512.03385) in Detectron2's
// layout: a 7×7 convolution of stride 2 and a 3×3 max-pool of stride 2, then the stages
// res2 to res5. A field that is zero has the published network's value.
type ResNet struct {
	Depth        int         // 18, 34, 50, 101 or 152; required
	StemChannels int         // channels of the stem; default 64
	Res2Channels int         // output channels of res2, doubled by each later stage; default 256, or 64 for depths 18 and 34
	Width        int         // channels of the 3×3 convolutions of res2, doubled by each later stage; default 64
	StrideIn1x1  bool        // puts a bottleneck's stride in the first 1×1 convolution, as in Caffe2's models, instead of the 3×3
	Norm         nn.NormKind // default nn.FrozenNorm
}

// blocks holds the number of blocks in each stage, by depth.
var blocks = map[int][4]int{18: {2, 2, 2, 2}, 34: {3, 4, 6, 3}, 50: {3, 4, 6, 3}, 101: {3, 4, 23, 3}, 152: {3, 8, 36, 3}}

// Blocks returns the number of residual blocks in the four stages of a depth, zeros for
// a depth that does not exist.
func Blocks(depth int) [4]int { return blocks[depth] }

func (c ResNet) withDefaults() (ResNet, error) {
	if _, ok := blocks[c.Depth]; !ok {
		return c, fmt.Errorf("backbone: ResNet of depth %d: want 18, 34, 50, 101 or 152", c.Depth)
	}
	if c.StemChannels == 0 {
		c.StemChannels = 64
	}
	if c.Width == 0 {
		c.Width = 64
	}
	if c.Res2Channels == 0 {
		c.Res2Channels = 256
		if c.Depth < 50 {
			c.Res2Channels = 64
		}
	}
	if c.Norm == nn.NoNorm {
		c.Norm = nn.FrozenNorm
	}
	if c.StemChannels < 0 || c.Width < 0 || c.Res2Channels < 0 {
		return c, fmt.Errorf("backbone: ResNet with negative channels: %+v", c)
	}
	return c, nil
}

type resNet struct {
	stem   *nn.Conv2d
	stages [4][]*block
	widths []int
}

// block is a residual block: two 3×3 convolutions, or 1×1, 3×3, 1×1.
type block struct {
	shortcut *nn.Conv2d // nil if the shape stays
	convs    []*nn.Conv2d
}

func newResNet(p nn.Path, c ResNet) (*resNet, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &resNet{stem: nn.NewConv2d(p.Sub("stem", "conv1"), 3, c.StemChannels,
		nn.ConvOptions{Kernel: 7, Stride: 2, Norm: c.Norm, ReLU: true})}
	in, out, width := c.StemChannels, c.Res2Channels, c.Width
	for i, n := range blocks[c.Depth] {
		for j := range n {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			r.stages[i] = append(r.stages[i], newBlock(p.Sub(fmt.Sprintf("res%d", i+2), j), c, in, width, out, stride))
			in = out
		}
		r.widths = append(r.widths, out)
		out, width = 2*out, 2*width
	}
	return r, nil
}

func newBlock(p nn.Path, c ResNet, in, width, out, stride int) *block {
	conv := func(name string, from, to, kernel, stride int, relu bool) *nn.Conv2d {
		return nn.NewConv2d(p.Sub(name), from, to,
			nn.ConvOptions{Kernel: kernel, Stride: stride, Norm: c.Norm, ReLU: relu})
	}
	b := &block{}
	if in != out || (stride != 1 && c.Depth < 50) {
		b.shortcut = conv("shortcut", in, out, 1, stride, false)
	}
	if c.Depth < 50 {
		b.convs = []*nn.Conv2d{conv("conv1", in, out, 3, stride, true), conv("conv2", out, out, 3, 1, false)}
		return b
	}
	first, second := 1, stride
	if c.StrideIn1x1 {
		first, second = stride, 1
	}
	b.convs = []*nn.Conv2d{
		conv("conv1", in, width, 1, first, true), conv("conv2", width, width, 3, second, true), conv("conv3", width, out, 1, 1, false),
	}
	return b
}

func (b *block) forward(x *torch.Tensor) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		y, convs := x, b.convs
		last := convs[len(convs)-1]
		if last.Fuses() {
			convs = convs[:len(convs)-1]
		}
		for i, c := range convs {
			var next *nn.Conv2d
			if i+1 < len(b.convs) {
				next = b.convs[i+1]
			}
			z := c.ForwardInto(y, next)
			if y != x && !z.RequiresGrad() {
				y.Close()
			}
			y = z
		}
		if b.shortcut != nil {
			x = b.shortcut.Forward(x)
		}
		if last.Fuses() {
			return last.ForwardAdd(y, x)
		}
		return y.AddInPlace(x).ReluInPlace()
	})
}

func (r *resNet) channels() []int { return r.widths }

func (r *resNet) features(x *torch.Tensor) []*torch.Tensor {
	s := x.Scope()
	mark := s.Mark()
	y := r.stem.Forward(x.ChannelsLast()).MaxPool2d([]int{3, 3}, []int{2, 2}, []int{1, 1})
	var out []*torch.Tensor
	for _, stage := range r.stages {
		for _, b := range stage {
			y = b.forward(y)
			s.Release(mark, append(out, y)...)
		}
		out = append(out, y)
	}
	return out
}
