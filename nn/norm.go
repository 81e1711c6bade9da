package nn

import "github.com/diffusioninst/go/torch"

// LayerNorm normalises over the last dimension (Ba et al. 2016).
type LayerNorm struct {
	Weight, Bias *torch.Tensor
	Eps          float64
	size         []int
}

// NewLayerNorm returns a layer norm of vectors of a size, with eps 1e-5.
func NewLayerNorm(p Path, size int) *LayerNorm {
	return &LayerNorm{
		Weight: p.Parameter("weight", Constant(1), size), Bias: p.Parameter("bias", Constant(0), size),
		Eps: 1e-5, size: []int{size},
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

// Forward returns x (B,C,H,W) normalised.
func (n *Norm) Forward(x *torch.Tensor) *torch.Tensor { return n.forward(x, false) }

// forward is Forward with a ReLU after it, or without.
func (n *Norm) forward(x *torch.Tensor, relu bool) *torch.Tensor {
	learns := n.learns()
	if learns {
		n.Batches++
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
// fixed statistics folded into it: weight·γ/σ and (bias−μ)·γ/σ + β. Gradients flow to all that learn.
func (n *Norm) fold(s *torch.Scope, weight, bias *torch.Tensor) (w, b *torch.Tensor) {
	scale := s.Adopt(n.Variance).AddScalar(n.Eps).Rsqrt().Mul(n.Weight)
	shift := s.Adopt(n.Mean).Neg()
	if bias != nil {
		shift = shift.Add(bias)
	}
	return scale.Reshape(-1, 1, 1, 1).Mul(weight), shift.Mul(scale).Add(n.Bias)
}
