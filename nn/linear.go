package nn

import "github.com/diffusioninst/go/torch"

// Linear is x·Wᵀ + b over the last dimension.
type Linear struct{ Weight, Bias *torch.Tensor }

// LinearOptions differ from the defaults of Linear.
type LinearOptions struct {
	NoBias   bool
	Init     Init // of the weight; nil is XavierUniform
	InitBias Init // nil is zero
}

// NewLinear maps in features to out: weight (out, in), bias (out).
func NewLinear(p Path, in, out int64, o LinearOptions) *Linear {
	l := &Linear{Weight: p.Parameter("weight", or(o.Init, XavierUniform), out, in)}
	if !o.NoBias {
		l.Bias = p.Parameter("bias", or(o.InitBias, Constant(0)), out)
	}
	return l
}

// Forward maps (…, in) to (…, out).
func (l *Linear) Forward(x *torch.Tensor) *torch.Tensor { return x.Linear(l.Weight, l.Bias) }

func or(init, standard Init) Init {
	if init != nil {
		return init
	}
	return standard
}
