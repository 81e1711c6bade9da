package nn

import (
	"math"

	"github.com/diffusioninst/go/torch"
)

// SelfAttention is multi-head self-attention (Vaswani et al. 2017) with the
// parameter names of PyTorch's MultiheadAttention.
type SelfAttention struct {
	InWeight, InBias *torch.Tensor // (3d, d) and (3d): queries, keys, values
	Out              *Linear
	heads            int
	compute          torch.DType
	product          product
	fused            bool // inference, where rounding need not be PyTorch's
	whole            bool // in one launch on a GPU, by LibTorch
	own              bool // in one launch on a GPU, by this module
}

// NewSelfAttention returns self-attention over vectors of size d; heads must divide d.
func NewSelfAttention(p Path, d, heads int) *SelfAttention {
	a := &SelfAttention{
		InWeight: p.Parameter("in_proj_weight", XavierUniform, 3*d, d),
		InBias:   p.Parameter("in_proj_bias", Constant(0), 3*d),
		Out:      NewLinear(p.Sub("out_proj"), d, d, LinearOptions{}),
		heads:    heads, compute: p.Compute(), product: productOf(p), fused: p.Inference() && !p.Eager(),
		whole: p.fuses() && torch.HasScaledAttention(),
		own:   p.fuses() && !torch.HasScaledAttention() && p.DType() == torch.Float32 && d/heads%4 == 0 && d/heads <= 64,
	}
	p.store.lower(a.compute, &a.InWeight, &a.InBias)
	return a
}

// Forward lets the N vectors of each of B sets (B,N,d) attend to each other and returns
// (B,N,d): softmax(QKᵀ/√(d/heads))·V per head, then a linear map. The result is of x's type, or, on a GPU in
// inference, of the type in which linear maps multiply.
func (a *SelfAttention) Forward(x *torch.Tensor) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		shape := x.Shape()
		b, n, d := shape[0], shape[1], shape[2]
		if a.whole {
			qkv := a.product.linear(as(x, a.compute), a.InWeight, a.InBias, a.compute).Reshape(b, n, 3, a.heads, d/a.heads).Permute(2, 0, 3, 1, 4)
			return a.Out.Forward(torch.ScaledAttention(qkv.Select(0, 0), qkv.Select(0, 1), qkv.Select(0, 2)).Transpose(1, 2).Reshape(b, n, d))
		}
		if a.own {
			return a.Out.Forward(a.product.linear(as(x, a.compute), a.InWeight, a.InBias, a.compute).Attention(a.heads))
		}
		qkv := a.product.linear(x, a.InWeight, a.InBias, a.compute)
		if a.fused && !x.Device().IsCUDA() && x.DType() == torch.Float32 && !qkv.RequiresGrad() {
			return a.Out.Forward(qkv.Attention(a.heads))
		}
		pairs := (*torch.Tensor).Bmm
		if a.fused {
			pairs = (*torch.Tensor).SmallBmm // needs no BLAS
		}
		qkv = qkv.Reshape(b, n, 3, a.heads, d/a.heads).Permute(2, 0, 3, 1, 4).Reshape(3, b*a.heads, n, d/a.heads)
		q, k, v := qkv.Select(0, 0), qkv.Select(0, 1), qkv.Select(0, 2)
		weights := pairs(q.DivScalar(math.Sqrt(float64(d/a.heads))), k.Transpose(1, 2)).Softmax(-1)
		y := pairs(weights, v).Reshape(b, a.heads, n, d/a.heads).Transpose(1, 2).Reshape(b, n, d)
		return a.Out.Forward(y)
	})
}
