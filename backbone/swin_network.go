package backbone

import (
	"fmt"
	"math"
	"runtime"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// patchSide is the side in pixels of the patches that become the first tokens.
const patchSide = 4

// swin is a Swin Transformer. Between its layers a picture is a map of tokens
// (B,H,W,C), which is the memory order of a channels-last (B,C,H,W).
type swin struct {
	patchWeight, patchBias *torch.Tensor // of a 4×4 convolution with stride 4
	patchNorm              *nn.LayerNorm
	stages                 [4]swinStage
	window                 windowTensors
	random                 *depthRandom
}

type swinStage struct {
	blocks []*swinBlock
	norm   *nn.LayerNorm // of the stage's output to the pyramid
	merge  *patchMerge   // nil in the last stage
	width  int
}

func newSwin(p nn.Path, c Swin) (*swin, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	embed := p.Sub("patch_embed")
	width, patch := c.EmbedDim, nn.Uniform(1/math.Sqrt(3*patchSide*patchSide)) // PyTorch's initialisation of a convolution
	t := &swin{
		patchWeight: embed.Sub("proj").Parameter("weight", patch, width, 3, patchSide, patchSide),
		patchBias:   embed.Sub("proj").Parameter("bias", patch, width),
		patchNorm:   nn.NewLayerNorm(embed.Sub("norm"), width),
		window:      newWindowTables(c.Window).upload(p),
		random:      newDepthRandom(),
	}
	total := c.Depths[0] + c.Depths[1] + c.Depths[2] + c.Depths[3]
	built := 0
	for i := range t.stages {
		at := p.Sub("layers", i)
		stage := swinStage{width: width}
		for j := range c.Depths[i] {
			o := blockOptions{
				heads: c.Heads[i], window: c.Window, hidden: int(float64(width) * c.MLPRatio),
				piece: pieceOfCore * runtime.NumCPU(), random: t.random,
			}
			if j%2 == 1 {
				o.shift = o.window / 2
			}
			if total > 1 {
				o.drop = c.DropRate * float64(built) / float64(total-1)
			}
			stage.blocks = append(stage.blocks, newSwinBlock(at.Sub("blocks", j), width, o))
			built++
		}
		stage.norm = nn.NewLayerNorm(p.Sub(fmt.Sprintf("norm%d", i)), width)
		if i < len(t.stages)-1 {
			stage.merge = newPatchMerge(at.Sub("downsample"), width)
		}
		t.stages[i] = stage
		width *= 2
	}
	return t, nil
}

func (t *swin) channels() []int {
	var out []int
	for _, stage := range t.stages {
		out = append(out, stage.width)
	}
	return out
}

// features maps pictures (B,3,H,W) of any size to (B,C·2ⁱ,⌈H/4/2ⁱ⌉,⌈W/4/2ⁱ⌉), channels last.
func (t *swin) features(pictures *torch.Tensor) []*torch.Tensor {
	s := pictures.Scope()
	mark := s.Mark()
	x := t.embed(pictures)
	s.Release(mark, x)
	var out []*torch.Tensor
	for _, stage := range t.stages {
		tables := t.window.like(x)
		for _, b := range stage.blocks {
			x = b.forward(x, tables)
			s.Release(mark, append(out, append(tables.all(), x)...)...)
		}
		level := stage.norm.Forward(x).Permute(0, 3, 1, 2)
		out = append(out, level)
		if stage.merge != nil {
			x = stage.merge.forward(x)
		}
		s.Release(mark, append(out, x)...)
	}
	s.Release(mark, out...)
	return out
}

// embed maps every patch of 4×4 pixels linearly to a token: (B,⌈H/4⌉,⌈W/4⌉,C).
// Incomplete patches are padded with zeros.
func (t *swin) embed(x *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	h, w := ceilDiv(shape[2], patchSide), ceilDiv(shape[3], patchSide)
	if down, right := h*patchSide-shape[2], w*patchSide-shape[3]; down+right > 0 {
		x = x.ConstantPad([]int{0, right, 0, down}, 0)
	}
	side := []int{patchSide, patchSide}
	x = x.Conv2d(t.patchWeight, t.patchBias, side, []int{0, 0}, []int{1, 1}, 1)
	return t.patchNorm.Forward(x.Permute(0, 2, 3, 1).Contiguous())
}

// patchMerge halves the size of a map: four neighbouring tokens become one of
// twice their channels.
type patchMerge struct {
	norm      *nn.LayerNorm
	reduction *nn.Linear
}

func newPatchMerge(p nn.Path, width int) *patchMerge {
	return &patchMerge{
		norm:      nn.NewLayerNorm(p.Sub("norm"), 4*width),
		reduction: nn.NewLinear(p.Sub("reduction"), 4*width, 2*width, nn.LinearOptions{NoBias: true, Init: swinInit}),
	}
}

// forward maps (B,H,W,C) to (B,⌈H/2⌉,⌈W/2⌉,2C).
func (m *patchMerge) forward(x *torch.Tensor) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		shape := x.Shape()
		b, h, w, c := shape[0], shape[1], shape[2], shape[3]
		if h%2+w%2 > 0 {
			x = x.ConstantPad([]int{0, 0, 0, w % 2, 0, h % 2}, 0)
		}
		h, w = ceilDiv(h, 2), ceilDiv(w, 2)
		// The checkpoints' order of the four is top left, bottom left, top right, bottom right.
		four := x.Reshape(b, h, 2, w, 2, c).Permute(0, 1, 3, 4, 2, 5).Reshape(b, h, w, 4*c)
		return m.reduction.Forward(m.norm.Forward(four))
	})
}
