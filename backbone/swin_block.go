package backbone

import (
	"fmt"
	"math"
	"sync"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// swinInit initialises linear weights and position biases.
var swinInit = nn.Normal(0.02)

// pieceOfCore is the number of elements of a map that a block works on at once per CPU
// core, so that what is computed from them, at most four times as many, stays in the
// core's cache.
const pieceOfCore = 100_000

// swinBlock is attention within windows and a perceptron, each preceded by a layer norm
// and added to its input.
type swinBlock struct {
	blockOptions
	norm1, norm2   *nn.LayerNorm
	table          *torch.Tensor // ((2·window−1)², heads): position biases
	qkv, proj      *nn.Linear
	expand, shrink *nn.Linear
	inference      bool
	pairs          func(a, b *torch.Tensor) *torch.Tensor // the products of pairs of matrices
}

type blockOptions struct {
	heads, window, shift int
	hidden               int     // channels inside the perceptron
	piece                int     // numbers worked on at once on the CPU
	drop                 float64 // probability of dropping a branch in training
	random               *depthRandom
}

func newSwinBlock(p nn.Path, width int, o blockOptions) *swinBlock {
	linear := func(name string, in, out int) *nn.Linear {
		return nn.NewLinear(p.Sub(name), in, out, nn.LinearOptions{Init: swinInit})
	}
	pairs := (*torch.Tensor).Bmm
	if p.Inference() && !p.Eager() {
		pairs = (*torch.Tensor).SmallBmm // needs no BLAS
	}
	return &swinBlock{
		blockOptions: o,
		norm1:        nn.NewLayerNorm(p.Sub("norm1"), width),
		table:        p.Sub("attn").Parameter("relative_position_bias_table", swinInit, (2*o.window-1)*(2*o.window-1), o.heads),
		qkv:          linear("attn.qkv", width, 3*width),
		proj:         linear("attn.proj", width, width),
		norm2:        nn.NewLayerNorm(p.Sub("norm2"), width),
		expand:       linear("mlp.fc1", width, o.hidden),
		shrink:       linear("mlp.fc2", o.hidden, width),
		inference:    p.Inference(), pairs: pairs,
	}
}

// forward maps (B,H,W,C) to the same shape. In inference it overwrites x.
func (b *swinBlock) forward(x *torch.Tensor, t windowTensors) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		rows, columns := axis{x.Size(1), b.window, b.shift}, axis{x.Size(2), b.window, b.shift}
		bias := b.bias(t)
		if b.inference {
			b.inPlace(x, rows, columns, bias, t)
			return x
		}
		y, placed := b.attend(x, rows, columns, 0, rows.windows(), bias, t), x.ZerosLike()
		for _, r := range rows.spans(0, rows.windows()) {
			for _, c := range columns.spans(0, columns.windows()) {
				rectangle(placed, r.from, r.n, c.from, c.n).CopyInPlace(rectangle(y, r.to, r.n, c.to, c.n))
			}
		}
		x := x.Add(b.maybe(placed))
		return x.Add(b.maybe(b.perceptron(x)))
	})
}

// inPlace is forward on x itself, piece by piece; see pieces.
func (b *swinBlock) inPlace(x *torch.Tensor, rows, columns axis, bias *torch.Tensor, t windowTensors) {
	s := x.Scope()
	mark := s.Mark()
	across := columns.spans(0, columns.windows())
	images, step := b.pieces(x, rows, columns)
	for image := 0; image < x.Size(0); image += images {
		for first := 0; first < rows.windows(); first += step {
			n := min(step, rows.windows()-first)
			part := x.Narrow(0, image, images)
			y := b.attend(part, rows, columns, first, n, bias, t)
			for _, r := range rows.spans(first, n) {
				for _, c := range across {
					rectangle(part, r.from, r.n, c.from, c.n).AddInPlace(rectangle(y, r.to, r.n, c.to, c.n))
				}
				strip := part.Narrow(1, r.from, r.n)
				strip.AddInPlace(b.perceptron(strip))
			}
			s.Release(mark)
		}
	}
}

// pieces is how many images and rows of windows are worked on at once.
func (b *swinBlock) pieces(x *torch.Tensor, rows, columns axis) (images, step int) {
	if x.Device().IsCUDA() {
		return x.Size(0), rows.windows()
	}
	return 1, max(1, b.piece/(columns.windows()*b.window*b.window*x.Size(3)))
}

// attend is the block's attention for n rows of windows from number first on:
// softmax(q·kᵀ/√d + bias + mask)·v in each window, then a linear map. The result
// (B, n·window, columns·window, C) is padded and rolled.
func (b *swinBlock) attend(x *torch.Tensor, rows, columns axis, first, n int, bias *torch.Tensor, t windowTensors) *torch.Tensor {
	s := x.Scope()
	mark := s.Mark()
	tokens := b.gather(x, rows, columns, first, n)
	images, width, across := x.Size(0), x.Size(3), columns.windows()
	d, area := width/b.heads, b.window*b.window
	each := images * n * across * b.heads
	qkv := b.qkv.Forward(tokens).
		Reshape(images, n, b.window, across, b.window, 3, b.heads, d).
		Permute(5, 0, 1, 3, 6, 2, 4, 7).
		Reshape(3, each, area, d)
	s.Release(mark, qkv)
	q, k, v := qkv.Select(0, 0), qkv.Select(0, 1), qkv.Select(0, 2)
	logits := b.pairs(q.MulScalar(1/math.Sqrt(float64(d))), k.Transpose(1, 2))
	windows := logits.View(images, n, across, b.heads, area, area)
	windows.AddInPlace(bias)
	if b.shift > 0 {
		windows.Narrow(2, across-1, 1).AddInPlace(t.lastColumn)
		if first+n == rows.windows() {
			windows.Narrow(1, n-1, 1).AddInPlace(t.lastRow)
		}
	}
	y := b.pairs(windows.Softmax(-1).View(each, area, area), v).
		View(images, n, across, b.heads, b.window, b.window, d).
		Permute(0, 1, 4, 2, 5, 3, 6).
		Reshape(images, n*b.window, across*b.window, width)
	s.Release(mark, y)
	y = b.proj.Forward(y)
	s.Release(mark, y)
	return y
}

// gather normalises the tokens of n rows of windows, pads with zeros and rolls:
// (B, n·window, columns·window, C).
func (b *swinBlock) gather(x *torch.Tensor, rows, columns axis, first, n int) *torch.Tensor {
	s := x.Scope()
	high, wide := n*b.window, columns.windows()*b.window
	down, across := rows.spans(first, n), columns.spans(0, columns.windows())
	return s.Hold(func() *torch.Tensor {
		if covered(down, high) && covered(across, wide) {
			return b.norm1.Forward(x.Narrow(1, down[0].from, high))
		}
		out := s.Zeros(torch.Options{DType: x.DType(), Device: x.Device()}, x.Size(0), high, wide, x.Size(3))
		for _, r := range down {
			normed := b.norm1.Forward(x.Narrow(1, r.from, r.n))
			for _, c := range across {
				rectangle(out, r.to, r.n, c.to, c.n).CopyInPlace(normed.Narrow(2, c.from, c.n))
			}
		}
		return out
	})
}

// bias is the learned bias of each pair of tokens in a window by their relative
// position: (heads, window², window²).
func (b *swinBlock) bias(t windowTensors) *torch.Tensor {
	area := b.window * b.window
	return b.table.IndexSelect(0, t.index).Reshape(area, area, b.heads).Permute(2, 0, 1).Contiguous()
}

func (b *swinBlock) perceptron(x *torch.Tensor) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		return b.shrink.Forward(b.expand.Forward(b.norm2.Forward(x)).Gelu())
	})
}

// maybe applies stochastic depth (Huang et al. 2016): while gradients are recorded it
// drops a branch (B,…) for some of the pictures and scales it up for the others.
func (b *swinBlock) maybe(branch *torch.Tensor) *torch.Tensor {
	if b.drop == 0 || !branch.RequiresGrad() {
		return branch
	}
	shape := make([]int, branch.Dim())
	for i := range shape {
		shape[i] = 1
	}
	shape[0] = branch.Size(0)
	kept := b.random.uniform(branch.Scope(), shape).GeScalar(b.drop).ToDType(branch.DType()).To(branch.Device())
	return branch.Mul(kept.DivScalar(1 - b.drop))
}

// depthRandom draws which branches are dropped. It is safe for concurrent use.
type depthRandom struct {
	sync.Mutex
	generator *torch.Generator
}

func newDepthRandom() *depthRandom {
	r := &depthRandom{}
	r.reseed(0)
	return r
}

func (r *depthRandom) reseed(seed uint64) {
	r.Lock()
	defer r.Unlock()
	r.generator = torch.NewGenerator(seed)
}

func (r *depthRandom) state() []byte {
	r.Lock()
	defer r.Unlock()
	return r.generator.State()
}

// setState tries the state on a generator of its own, so that a bad one changes nothing.
func (r *depthRandom) setState(state []byte) (err error) {
	defer func() {
		if lost := recover(); lost != nil {
			bad, ok := lost.(*torch.Error)
			if !ok {
				panic(lost)
			}
			err = fmt.Errorf("backbone: %d bytes are not a state of random numbers: %w", len(state), bad)
		}
	}()
	g := torch.NewGenerator(0)
	g.SetState(state)
	r.Lock()
	defer r.Unlock()
	r.generator = g
	return nil
}

func (r *depthRandom) uniform(s *torch.Scope, shape []int) *torch.Tensor {
	r.Lock()
	defer r.Unlock()
	return s.Rand(r.generator, torch.Float32, shape...)
}
