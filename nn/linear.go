package nn

import "github.com/diffusioninst/go/torch"

// Linear is the map x·Wᵀ + b over the last dimension.
type Linear struct {
	Weight, Bias *torch.Tensor
	compute      torch.DType
	product      product
	fuses        bool
}

// A product returns x·Wᵀ + b.
type product func(x, weight, bias *torch.Tensor) *torch.Tensor

// productOf returns PyTorch's product where its rounding is wanted.
func productOf(p Path) product {
	if p.Eager() {
		return (*torch.Tensor).Linear
	}
	return (*torch.Tensor).LinearOneDNN
}

// LinearOptions are the settings of NewLinear.
type LinearOptions struct {
	NoBias   bool
	Init     Init // of the weight; nil is XavierUniform
	InitBias Init // nil is zero
}

// NewLinear returns a map of in features to out with weight (out, in) and bias (out).
func NewLinear(p Path, in, out int, o LinearOptions) *Linear {
	l := &Linear{Weight: p.Parameter("weight", or(o.Init, XavierUniform), out, in), compute: p.Compute(), product: productOf(p), fuses: p.fuses()}
	if !o.NoBias {
		l.Bias = p.Parameter("bias", or(o.InitBias, Constant(0)), out)
	}
	p.store.lower(l.compute, &l.Weight, &l.Bias)
	return l
}

// Forward maps x (…, in) to (…, out) of the same element type.
func (l *Linear) Forward(x *torch.Tensor) *torch.Tensor {
	return l.product.linear(x, l.Weight, l.Bias, l.compute)
}

// SideBySide returns the map whose results are the results of maps of equal inputs one after another, each with a bias. It takes their
// place: they can no longer be used. It is for inference.
func SideBySide(p Path, maps []*Linear) *Linear {
	out := *maps[0]
	var weights, biases []*torch.Tensor
	for _, l := range maps {
		weights, biases = append(weights, l.Weight), append(biases, l.Bias)
	}
	join := func(of []*torch.Tensor) *torch.Tensor { return torch.Cat(of, 0) }
	out.Weight, out.Bias = p.Pack(weights, join), p.Pack(biases, join)
	return &out
}

// ForwardReLU returns max(0, Forward(x)).
func (l *Linear) ForwardReLU(x *torch.Tensor) *torch.Tensor {
	if l.fuses && x.DType() == l.compute && l.Weight.DType() == l.compute {
		return x.LinearReLU(l.Weight, l.Bias)
	}
	return l.Forward(x).ReluInPlace()
}

// linear returns x·Wᵀ + b with products in the type compute.
func (p product) linear(x, weight, bias *torch.Tensor, compute torch.DType) *torch.Tensor {
	if shape := x.Shape(); len(shape) > 3 {
		// Up to three dimensions LibTorch 1.13 adds the bias within the product.
		n := len(shape) - 1
		return x.Scope().Hold(func() *torch.Tensor {
			return p.linear(x.Flatten(0, n-1), weight, bias, compute).Reshape(append(shape[:n:n], -1)...)
		})
	}
	have := x.DType()
	if compute == weight.DType() && compute == have {
		return p(x, weight, bias)
	}
	s := x.Scope()
	return s.Hold(func() *torch.Tensor {
		return as(p(as(x, compute), as(s.Adopt(weight), compute), as(adopt(s, bias), compute)), have)
	})
}

// as returns x in another type, or nil for nil.
func as(x *torch.Tensor, d torch.DType) *torch.Tensor {
	if x == nil || x.DType() == d {
		return x
	}
	return x.ToDType(d)
}

func adopt(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	if x == nil {
		return nil
	}
	return s.Adopt(x)
}

func or(init, standard Init) Init {
	if init != nil {
		return init
	}
	return standard
}
