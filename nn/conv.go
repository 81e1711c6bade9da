package nn

import (
	"math"
	"strings"

	"github.com/diffusioninst/go/torch"
)

// Conv2d is a two-dimensional convolution, followed by a norm and a ReLU if
// its options ask for them. For inference the norm is folded into weight and bias.
type Conv2d struct {
	Weight, Bias    *torch.Tensor
	Norm            *Norm
	ReLU            bool
	stride, padding []int
	compute         torch.DType
	products        bool // by matrix products instead of LibTorch's choice
	eager           bool
	fuses           bool          // takes what follows into its launch
	winograd        *torch.Tensor // the weight for Conv2dWinograd; nil if that is not for this convolution
	learns          bool          // by Conv2dWinogradLearned, where it pays
	int8            *int8Conv     // instead of Weight and Bias; nil if it does not multiply 8-bit numbers
	calibrator      *Calibrator   // nil without one
	path            string
}

// ConvOptions are the settings of NewConv2d. The zero value is a 1×1 convolution of stride 1
// without bias, norm and ReLU.
type ConvOptions struct {
	Kernel int // 0 means 1; padded to keep the size
	Stride int // 0 means 1
	Bias   bool
	Norm   NormKind
	NormAt *Path // the norm's own path, where it does not lie below the convolution's
	ReLU   bool
	Init   Init // of the weight; nil is KaimingNormal
}

// NewConv2d returns a convolution of in channels to out with the weight (out, in, k, k).
func NewConv2d(p Path, in, out int, o ConvOptions) *Conv2d {
	k, stride := max(o.Kernel, 1), max(o.Stride, 1)
	c := &Conv2d{
		Weight: p.Parameter("weight", or(o.Init, KaimingNormal), out, in, k, k),
		ReLU:   o.ReLU, compute: p.Compute(), eager: p.Eager(), stride: []int{stride, stride}, padding: []int{k / 2, k / 2},
	}
	if p.Device() == torch.CPU && (in%16 != 0 || out%16 != 0) && !strings.HasPrefix(torch.Version(), "1.") {
		// oneDNN 3.7 (Debian 13) leaves what it pads the channels to 16 with unset, and reads
		// it: results and gradients are wrong. It does not pad the three channels of a picture.
		c.products = in > 3 || out%16 != 0
		c.compute = c.Weight.DType()
	}
	if o.Bias {
		c.Bias = p.Parameter("bias", Constant(0), out)
	}
	if o.Norm != NoNorm {
		at := p.Sub("norm")
		if o.NormAt != nil {
			at = *o.NormAt
		}
		c.Norm = NewNorm(at, o.Norm, out)
	}
	c.learns = !p.Inference() && !p.Eager() && c.fewer(p)
	if p.Inference() && !p.Eager() {
		c.fold(p.store)
		if !c.round(p) {
			c.prepare(p)
		}
		if !p.exact {
			c.calibrator, c.path = p.store.options.Calibrator, p.String()
		}
	}
	if n := c.Norm; n != nil && n.Kind == FrozenNorm && !p.Eager() && !o.Bias {
		s := torch.NewScope()
		n.fixed.of(s, n, c.compute)
		s.Close()
	}
	c.fuses = p.fuses() && !c.products
	return c
}

// fold computes weight·γ/σ and (bias−μ)·γ/σ + β in float64, rounds them to the type of the
// products, and lays the weight out for channels-last convolution.
func (c *Conv2d) fold(st *Store) {
	s := torch.NewScope()
	defer s.Close()
	exact := func(t *torch.Tensor) *torch.Tensor { return s.Adopt(t).ToDType(torch.Float64) }
	gone := []*torch.Tensor{c.Weight}
	weight, bias := exact(c.Weight), c.Bias
	if n := c.Norm; n != nil {
		gone = append(gone, n.Weight, n.Bias, n.Mean, n.Variance)
		scale := exact(n.Weight).Div(exact(n.Variance).AddScalar(n.Eps).Sqrt())
		weight = weight.Mul(scale.Reshape(-1, 1, 1, 1))
		shift := exact(n.Mean).Neg()
		if bias != nil {
			gone = append(gone, bias)
			shift = shift.Add(exact(bias))
		}
		bias = shift.Mul(scale).Add(exact(n.Bias)).ToDType(c.compute)
		c.Norm = nil
	} else if bias != nil && bias.DType() != c.compute {
		gone = append(gone, bias)
		bias = s.Adopt(bias).ToDType(c.compute)
	}
	made := []*torch.Tensor{weight.ToDType(c.compute).ChannelsLast()}
	if bias != c.Bias {
		made = append(made, bias)
	}
	c.Weight, c.Bias = made[0], bias
	st.fold(gone, made...)
}

// fewer reports whether the convolution can do with fewer multiplications.
func (c *Conv2d) fewer(p Path) bool {
	w := c.Weight.Shape()
	return p.Device() == torch.CPU && !c.products && c.Weight.DType() == torch.Float32 && w[2] == 3 && c.stride[0] == 1 && torch.WinogradFits(w[1], w[0])
}

// prepare transforms the weight once if the convolution can do with fewer multiplications.
func (c *Conv2d) prepare(p Path) {
	if !c.fewer(p) {
		return
	}
	s := torch.NewScope()
	defer s.Close()
	c.winograd = s.Adopt(c.Weight).WinogradWeight().Keep()
	p.store.prepared = append(p.store.prepared, c.winograd)
}

// Forward maps x (B, in, H, W) to (B, out, ⌈H/stride⌉, ⌈W/stride⌉).
func (c *Conv2d) Forward(x *torch.Tensor) *torch.Tensor { return c.ForwardInto(x, nil) }

// ForwardInto is Forward for a result that nothing but the convolution next takes. If both multiply 8-bit numbers, it
// stays in 8 bits.
func (c *Conv2d) ForwardInto(x *torch.Tensor, next *Conv2d) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		if c.int8 != nil {
			return c.int8.forward(x, next)
		}
		y := c.forward(x)
		if c.calibrator != nil {
			c.calibrator.note(c.path, x, y)
		}
		return y
	})
}

// Fuses reports whether ForwardAdd takes the sum into the convolution.
func (c *Conv2d) Fuses() bool {
	return c.fuses || ((c.winograd != nil || c.int8 != nil) && c.calibrator == nil)
}

// ForwardAdd returns max(0, Forward(x) + add) of a convolution without a ReLU of its own.
func (c *Conv2d) ForwardAdd(x, add *torch.Tensor) *torch.Tensor {
	return x.Scope().Hold(func() *torch.Tensor {
		if c.int8 != nil && c.ReLU {
			return c.int8.forward(x, nil).AddInPlace(add).ReluInPlace()
		}
		if c.int8 != nil {
			return c.int8.conv.ForwardAdd(x, add, c.int8.in, c.int8.out)
		}
		if !c.ReLU && c.fast(x) && c.fast(add) {
			return x.Conv2dWinograd(c.winograd, c.Weight.Size(0), c.Bias, add, true)
		}
		if c.fuses && !c.ReLU {
			return as(x, c.compute).Conv2dReLU(c.Weight, c.Bias, as(add, c.compute), [2]int(c.stride), [2]int(c.padding))
		}
		return c.forward(x).AddInPlace(add).ReluInPlace()
	})
}

// fast reports whether Conv2dWinograd takes x.
func (c *Conv2d) fast(x *torch.Tensor) bool {
	return c.winograd != nil && x.DType() == torch.Float32 && !x.RequiresGrad()
}

// learnsFast reports whether Conv2dWinogradLearned takes x (B,C,H,W) and gains more than transforming the weight costs.
func (c *Conv2d) learnsFast(x, weight *torch.Tensor) bool {
	const pixels = 512
	return c.learns && weight.DType() == torch.Float32 && x.DType() == torch.Float32 && x.Size(0)*x.Size(2)*x.Size(3) >= pixels
}

// forward leaves its intermediate tensors to Forward to free.
func (c *Conv2d) forward(x *torch.Tensor) *torch.Tensor {
	if c.fast(x) {
		return x.Conv2dWinograd(c.winograd, c.Weight.Size(0), c.Bias, nil, c.ReLU)
	}
	s := x.Scope()
	if c.eager {
		x = x.Contiguous() // PyTorch's memory order, where other kernels compute than for channels last
	}
	stride := c.stride
	if c.Weight.Size(2) == 1 && stride[0] > 1 && c.Weight.RequiresGrad() && !x.Device().IsCUDA() {
		// The same pixels without a stride: oneDNN (2.6 to 3.6 at least) writes past its
		// buffers in the backward pass of strided 1×1 convolutions of few channels.
		x = x.Slice(2, 0, math.MaxInt64, stride[0]).Slice(3, 0, math.MaxInt64, stride[1])
		stride = []int{1, 1}
	}
	weight, bias := c.Weight, c.Bias
	fixed := c.Norm != nil && !c.Norm.learns() && !c.eager
	if fixed {
		weight, bias = c.Norm.fold(s, weight, bias, c.compute)
	}
	if x.DType() != c.compute || c.Weight.DType() != c.compute {
		x, weight, bias = as(x, c.compute), as(s.Adopt(weight), c.compute), as(adopt(s, bias), c.compute)
	}
	var y *torch.Tensor
	if c.products {
		y = x.Contiguous().Conv2dProducts(s.Adopt(weight).Contiguous(), weight.Shape()[2:], bias, stride, c.padding)
	} else if c.eager {
		y = x.Conv2d(weight, bias, stride, c.padding, []int{1, 1}, 1)
	} else if c.learnsFast(x, weight) {
		y = x.Conv2dWinogradLearned(weight, bias)
	} else if c.fuses && c.ReLU {
		return x.Conv2dReLU(weight, bias, nil, [2]int(stride), [2]int(c.padding))
	} else {
		y = x.Conv2dOneDNN(weight, bias, [2]int(stride), [2]int(c.padding))
	}
	switch {
	case c.Norm != nil && !fixed:
		return c.Norm.forward(y, c.ReLU)
	case c.ReLU:
		return y.ReluInPlace()
	}
	return y
}
