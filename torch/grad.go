package torch

import "github.com/diffusioninst/go/internal/libtorch"

// WithGrad runs f with operators recording gradients. It must be called inside
// Do, whose workers do not record otherwise.
func WithGrad(f func()) {
	before := libtorch.GradEnabled()
	libtorch.SetGradEnabled(true)
	defer libtorch.SetGradEnabled(before)
	f()
}

// NoGrad runs f without recording gradients, inside a WithGrad.
func NoGrad(f func()) {
	before := libtorch.GradEnabled()
	libtorch.SetGradEnabled(false)
	defer libtorch.SetGradEnabled(before)
	f()
}

// RequiresGrad reports whether gradients flow to t.
func (t *Tensor) RequiresGrad() bool {
	defer keepAlive([]*Tensor{t})
	return libtorch.RequiresGrad(t.handle())
}

// SetRequiresGrad sets whether gradients flow to the leaf t. It returns t.
func (t *Tensor) SetRequiresGrad(requires bool) *Tensor {
	check("requires_grad", libtorch.SetRequiresGrad(t.handle(), requires), t)
	return t
}

// Backward adds the gradients of the scalar t to every leaf that requires them.
func (t *Tensor) Backward() { check("backward", libtorch.Backward(t.handle()), t) }

// Grad returns the gradient that Backward added up for the leaf t, nil if it has none.
// It belongs to s.
func (t *Tensor) Grad(s *Scope) *Tensor {
	h, e := libtorch.Grad(t.handle())
	check("grad", e, t)
	if h == nil {
		return nil
	}
	return s.own(h)
}

// ClearGrad forgets the gradient of the leaf t.
func (t *Tensor) ClearGrad() {
	libtorch.ClearGrad(t.handle())
	keepAlive([]*Tensor{t})
}
