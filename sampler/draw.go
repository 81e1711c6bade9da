package sampler

import (
	"fmt"
	"slices"

	"github.com/diffusioninst/go/torch"
)

// A Drawing is a sampler that says how often it draws. Run then uploads all noise of a run on a GPU in one copy.
type Drawing interface {
	Sampler
	// Draws returns how many times Step calls Normal.
	Draws() int
}

// most is how much noise of a run lies on the GPU at a time, in bytes, if one draw is not larger.
const most = 64 << 20

// drawAhead draws the noise of a run of so many times, and uploads it at once. On the CPU, and beyond most,
// noise is drawn when it is needed. Draws come in the same order either way.
func (r *run) drawAhead(times int) error {
	if len(r.shape) != 3 || r.shape[0] < 1 || r.shape[1] < 1 || r.shape[2] < 1 {
		return fmt.Errorf("a state of shape %v: want pictures, proposals and numbers", r.shape)
	}
	if r.device == torch.CPU {
		return nil
	}
	step := 1 // for what renewal replaces
	if s, ok := r.Sampler.(Drawing); ok {
		step += min(max(s.Draws(), 0), 16) // a wrong number costs little
	}
	n := min(1+(times-1)*step, most/(4*r.shape[0]*r.shape[1]*r.shape[2]))
	if n < 2 {
		return nil
	}
	all := r.scope.Hold(func() *torch.Tensor {
		draws := make([]*torch.Tensor, n)
		for i := range draws {
			draws[i] = r.drawOne()
		}
		return torch.Stack(draws, 0).To(r.device)
	})
	for i := range n {
		r.drawn = append(r.drawn, all.Select(0, i))
	}
	return nil
}

// draws is how often a step with this η draws.
func draws(eta float64) int {
	if eta > 0 {
		return 1
	}
	return 0
}

// draw is noise of the state's shape on the device.
func (r *run) draw() *torch.Tensor {
	if len(r.drawn) > 0 {
		z := r.drawn[0]
		r.drawn = r.drawn[1:]
		return z
	}
	return r.drawOne().To(r.device)
}

func (r *run) drawOne() *torch.Tensor {
	z := r.noise(r.scope, slices.Clone(r.shape))
	if err := checkShape("the noise", z, r.shape); err != nil {
		panic(&torch.Error{Op: "noise", Message: err.Error()})
	}
	return z
}
