package torch

import "github.com/diffusioninst/go/internal/libtorch"

// WinogradFits reports whether Conv2dWinograd convolves in channels to out on this machine: both are multiples of 16, at
// least 32, and the processor has AVX2 or AVX-512.
func WinogradFits(in, out int) bool { return libtorch.WinogradFits(in, out) }

// WinogradWeight returns the weight t (out,in,3,3) of a convolution, float32 on the CPU, in the form that Conv2dWinograd
// multiplies with. It takes four times the memory.
func (t *Tensor) WinogradWeight() *Tensor {
	h, e := libtorch.WinogradWeight(t.handle())
	check("winograd_weight", e, t)
	return t.scope.own(h)
}

// Conv2dWinograd returns the 3×3 convolution of t (B,in,H,W) of stride 1 and padding 1 plus add, (B,out,H,W) in channels-last
// memory, and max(0, ·) of it if relu is set; bias and add may be nil. It is Winograd's F(4×4,3×3) (Lavin, Gray, arXiv
// 1509.09308): a quarter of a convolution's multiplications, and an error of about 1e-6 of the result's size. Counts have the
// FLOP of the convolution itself. It is for float32 on the CPU without gradients.
func (t *Tensor) Conv2dWinograd(weight *Tensor, out int, bias, add *Tensor, relu bool) *Tensor {
	h, e := libtorch.Winograd(t.handle(), weight.handle(), out, bias.optionalHandle(), add.optionalHandle(), relu)
	check("conv2d_winograd", e, t, weight, bias, add)
	return scopeOf(t, weight, bias, add).own(h)
}

// Conv2dWinogradLearned is Conv2dWinograd of a weight (out,in,3,3) as it is, which it transforms in each call; gradients flow to t, the
// weight and the bias, which may be nil. That of t is computed in the same way, those of the others by LibTorch.
func (t *Tensor) Conv2dWinogradLearned(weight, bias *Tensor) *Tensor {
	h, e := libtorch.WinogradLearned(t.handle(), weight.handle(), bias.optionalHandle())
	check("conv2d_winograd_learned", e, t, weight, bias)
	return scopeOf(t, weight, bias).own(h)
}
