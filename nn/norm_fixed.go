package nn

import (
	"sync"

	"github.com/diffusioninst/go/torch"
)

// fixedNorm is the scale and shift of a norm that does not learn, computed once instead of at every step, and
// again when a tensor that they come from has changed, as by loading weights.
type fixedNorm struct {
	mutex        sync.Mutex
	from         [4]version
	compute      torch.DType
	scale, shift *torch.Tensor // (C,1,1,1) and (C), the latter in the type compute
}

// version is what a tensor holds.
type version struct {
	tensor  *torch.Tensor
	changes int64
}

// fixes reports whether scale and shift do not depend on what learns.
func (n *Norm) fixes() bool {
	return !n.learns() && !n.Weight.RequiresGrad() && !n.Bias.RequiresGrad()
}

// of returns the scale γ/σ and the shift β − μ·γ/σ of a norm, the latter in a type.
func (f *fixedNorm) of(s *torch.Scope, n *Norm, compute torch.DType) (scale, shift *torch.Tensor) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var now [4]version
	for i, t := range []*torch.Tensor{n.Weight, n.Bias, n.Mean, n.Variance} {
		now[i] = version{t, t.Changes()}
	}
	if f.scale == nil || f.from != now || f.compute != compute {
		f.close()
		mark := s.Mark()
		scale, shift = n.parts(s, nil)
		f.scale, f.shift = scale.Keep(), as(shift, compute).Keep()
		f.from, f.compute = now, compute
		s.Release(mark)
	}
	return s.Adopt(f.scale), s.Adopt(f.shift)
}

// forget frees them.
func (f *fixedNorm) forget() {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.close()
}

func (f *fixedNorm) close() {
	f.scale.Close()
	f.shift.Close()
	f.scale, f.shift = nil, nil
}
