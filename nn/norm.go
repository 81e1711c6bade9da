package nn

import "github.com/diffusioninst/go/torch"

// LayerNorm normalises over the last dimension (Ba et al. 2016).
type LayerNorm struct {
	Weight, Bias *torch.Tensor
	Eps          float64
	size         []int
	around       bool // with what is around it in one launch
}

// NewLayerNorm returns a layer norm of vectors of a size, with eps 1e-5.
func NewLayerNorm(p Path, size int) *LayerNorm {
	return &LayerNorm{
		Weight: p.Parameter("weight", Constant(1), size), Bias: p.Parameter("bias", Constant(0), size),
		Eps: 1e-5, size: []int{size}, around: p.fuses() && size <= torch.MaxLayerNormAround,
	}
}

// NewComputeLayerNorm returns a layer norm of vectors that are, in inference, of the type in
// which the store's linear maps multiply: their results, normalised without casts. Mean and
// variance are computed in float32 whatever the type.
func NewComputeLayerNorm(p Path, size int) *LayerNorm {
	n := NewLayerNorm(p, size)
	p.store.lower(p.Compute(), &n.Weight, &n.Bias)
	return n
}

// Forward returns x (…, size) normalised.
func (n *LayerNorm) Forward(x *torch.Tensor) *torch.Tensor {
	return x.LayerNorm(n.size, n.Weight, n.Bias, n.Eps)
}

// ForwardReLU returns max(0, Forward(x)) in a type. It is one launch on a GPU in inference, as are the following.
func (n *LayerNorm) ForwardReLU(x *torch.Tensor, out torch.DType) *torch.Tensor {
	if n.around {
		y, _ := torch.LayerNormAround{Weight: n.Weight, Bias: n.Bias, Eps: n.Eps, ReLU: true, Out: out}.Forward(x)
		return y
	}
	return as(n.Forward(as(x, n.Weight.DType())).ReluInPlace(), out)
}

// ForwardSum returns Forward(x + y), where y may be of a type of fewer bits than x, and the same in another type.
func (n *LayerNorm) ForwardSum(x, y *torch.Tensor, other torch.DType) (sum, same *torch.Tensor) {
	if n.around {
		return inTypes(torch.LayerNormAround{Weight: n.Weight, Bias: n.Bias, Eps: n.Eps, Residual: x}, y, other)
	}
	sum = n.Forward(x.Add(as(y, x.DType())))
	return sum, as(sum, other)
}

// ForwardSumReLU is ForwardSum(x, inner.ForwardReLU(y)).
func (n *LayerNorm) ForwardSumReLU(x *torch.Tensor, inner *LayerNorm, y *torch.Tensor, other torch.DType) (sum, same *torch.Tensor) {
	if !n.around || inner.Weight.DType() != n.Weight.DType() || inner.Eps != n.Eps {
		return n.ForwardSum(x, inner.ForwardReLU(y, x.DType()), other)
	}
	return inTypes(torch.LayerNormAround{
		Weight: n.Weight, Bias: n.Bias, Inner: [2]*torch.Tensor{inner.Weight, inner.Bias}, Eps: n.Eps, Residual: x,
	}, y, other)
}

// inTypes returns the norm of y in the type of what is added to it, and the same in another type.
func inTypes(n torch.LayerNormAround, y *torch.Tensor, other torch.DType) (sum, same *torch.Tensor) {
	n.Out = n.Residual.DType()
	if other == n.Out {
		sum, _ = n.Forward(y)
		return sum, sum
	}
	n.Second = other
	return n.Forward(y)
}

// ForwardModulated returns z = Forward(x + y) of (B,N,size), where y may be of a type of fewer bits than x, and
// z·(1 + scale) + shift in another type, where the rows of modulation (B, 2·size) are scale and shift.
func (n *LayerNorm) ForwardModulated(x, y, modulation *torch.Tensor, other torch.DType) (z, modulated *torch.Tensor) {
	if n.around {
		return torch.LayerNormAround{
			Weight: n.Weight, Bias: n.Bias, Eps: n.Eps, Residual: x, Modulation: modulation, Out: x.DType(), Second: other,
		}.Forward(y)
	}
	z, _ = n.ForwardSum(x, y, x.DType())
	size, rows := n.size[0], modulation.Unsqueeze(1)
	scale, shift := rows.Narrow(2, 0, size), rows.Narrow(2, size, size)
	return z, as(z.Mul(scale.AddScalar(1)).Add(shift), other)
}

// A NormKind is the norm that follows a convolution.
type NormKind int

const (
	NoNorm     NormKind = iota
	FrozenNorm          // batch norm with fixed statistics and fixed scale, folded for inference
	BatchNorm           // batch norm whose statistics follow the training data
)

// Norm is a batch norm over the channels of (B,C,H,W) (Ioffe, Szegedy 2015).
type Norm struct {
	Weight, Bias, Mean, Variance *torch.Tensor
	Eps, Momentum                float64
	Kind                         NormKind
	Training                     bool   // statistics of the batch at hand; only for BatchNorm
	Name                         string // the path of its parameters
	// Member, if not nil, synchronises the statistics over the pictures of all members
	// (SyncBN); see torch.BatchNormTraining. Without Follows the running statistics stay as
	// they are: of members that share them only one may follow.
	Member  *torch.SyncMember
	Follows bool
	// Batches is the number of batches whose statistics the running ones have followed,
	// PyTorch's num_batches_tracked.
	Batches int64
	eager   bool
	fixed   fixedNorm
}

// NewNorm returns a norm of a number of channels, with eps 1e-5 and momentum 0.1.
func NewNorm(p Path, kind NormKind, channels int) *Norm {
	n := &Norm{Eps: 1e-5, Momentum: 0.1, Kind: kind, Name: p.String(), Follows: true, eager: p.Eager()}
	if !p.Inference() {
		p.store.norms = append(p.store.norms, n)
	}
	trained := p.Parameter
	if kind == FrozenNorm {
		trained = p.Buffer
	}
	n.Weight = trained("weight", Constant(1), channels)
	n.Bias = trained("bias", Constant(0), channels)
	n.Mean = p.Buffer("running_mean", Constant(0), channels)
	n.Variance = p.Buffer("running_var", Constant(1), channels)
	return n
}

// learns reports whether the batch at hand gives the statistics.
func (n *Norm) learns() bool { return n.Training && n.Kind == BatchNorm }

// Followed says that the running statistics have followed a number of batches without Forward, as when it is part of a
// torch.Graph that has run.
func (n *Norm) Followed(batches int64) {
	n.Batches += batches
	n.fixed.forget() // the statistics have changed
}

// Forward returns x (B,C,H,W) normalised.
func (n *Norm) Forward(x *torch.Tensor) *torch.Tensor { return n.forward(x, false) }

// forward is Forward with a ReLU after it, or without.
func (n *Norm) forward(x *torch.Tensor, relu bool) *torch.Tensor {
	learns := n.learns()
	if learns {
		n.Followed(1)
	}
	if learns && !n.eager {
		mean, variance := n.Mean, n.Variance
		if !n.Follows {
			mean, variance = nil, nil
		}
		return torch.BatchNormTraining{
			Weight: n.Weight, Bias: n.Bias, Mean: mean, Variance: variance,
			Momentum: n.Momentum, Eps: n.Eps, ReLU: relu, Member: n.Member,
		}.Forward(x)
	}
	var y *torch.Tensor
	if n.eager && n.Kind == FrozenNorm && x.RequiresGrad() {
		y = n.affine(x)
	} else {
		y = x.BatchNorm(n.Weight, n.Bias, n.Mean, n.Variance, learns, n.Momentum, n.Eps, true)
	}
	if relu {
		y = y.ReluInPlace()
	}
	return y
}

// affine returns x·γ/σ + (β − μ·γ/σ), as Detectron2's frozen norms compute it where gradients flow.
func (n *Norm) affine(x *torch.Tensor) *torch.Tensor {
	s := x.Scope()
	return s.Hold(func() *torch.Tensor {
		scale := s.Adopt(n.Weight).Mul(s.Adopt(n.Variance).AddScalar(n.Eps).Rsqrt())
		shift := s.Adopt(n.Bias).Sub(s.Adopt(n.Mean).Mul(scale))
		shape := []int{1, -1, 1, 1}
		return x.Mul(scale.Reshape(shape...)).Add(shift.Reshape(shape...))
	})
}

// fold returns weight and bias, which may be nil, of a convolution with the norm of
// fixed statistics folded into it: weight·γ/σ and (bias−μ)·γ/σ + β. Gradients flow to all that learn. What does
// not depend on that is computed once, the shift in the type compute.
func (n *Norm) fold(s *torch.Scope, weight, bias *torch.Tensor, compute torch.DType) (w, b *torch.Tensor) {
	var scale *torch.Tensor
	if bias == nil && n.fixes() {
		scale, b = n.fixed.of(s, n, compute)
	} else {
		scale, b = n.parts(s, bias)
	}
	return scale.Mul(weight), b
}

// parts returns γ/σ as (C,1,1,1), and (bias−μ)·γ/σ + β; bias may be nil.
func (n *Norm) parts(s *torch.Scope, bias *torch.Tensor) (scale, shift *torch.Tensor) {
	scale = s.Adopt(n.Variance).AddScalar(n.Eps).Rsqrt().Mul(n.Weight)
	shift = s.Adopt(n.Mean).Neg()
	if bias != nil {
		shift = shift.Add(bias)
	}
	return scale.Reshape(-1, 1, 1, 1), shift.Mul(scale).Add(n.Bias)
}
