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
	pairs            func(a, b *torch.Tensor) *torch.Tensor // the products of pairs of matrices
}

// NewSelfAttention returns self-attention over vectors of size d; heads must divide d.
func NewSelfAttention(p Path, d, heads int) *SelfAttention {
	pairs := (*torch.Tensor).Bmm
	if p.Inference() && !p.Eager() {
		pairs = (*torch.Tensor).SmallBmm // needs no BLAS
	}
	a := &SelfAttention{
		InWeight: p.Parameter("in_proj_weight", XavierUniform, 3*d, d),
		InBias:   p.Parameter("in_proj_bias", Constant(0), 3*d),
		Out:      NewLinear(p.Sub("out_proj"), d, d, LinearOptions{}),
		heads:    heads, compute: p.Compute(), product: productOf(p), pairs: pairs,
	}
	p.store.lower(a.compute, &a.InWeight, &a.InBias)
	return a
}

// Forward lets the N vectors of each of B sets (B,N,d) attend to each other and returns
// (B,N,d): softmax(QKᵀ/√(d/heads))·V per head, then a linear map.
func (a *SelfAttention) Forward(x *torch.Tensor) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		shape := x.Shape()
		b, n, d := shape[0], shape[1], shape[2]
		qkv := a.product.linear(x, a.InWeight, a.InBias, a.compute).Reshape(b, n, 3, a.heads, d/a.heads).
			Permute(2, 0, 3, 1, 4).Reshape(3, b*a.heads, n, d/a.heads)
		q, k, v := qkv.Select(0, 0), qkv.Select(0, 1), qkv.Select(0, 2)
		weights := a.pairs(q.DivScalar(math.Sqrt(float64(d/a.heads))), k.Transpose(1, 2)).Softmax(-1)
		y := a.pairs(weights, v).Reshape(b, a.heads, n, d/a.heads).Transpose(1, 2).Reshape(b, n, d)
		return a.Out.Forward(y)
	})
}
