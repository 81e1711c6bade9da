package sampler

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// A Check is a question about values on the device. Asked at once it would make the host wait for a GPU:
// Run reads the answers of all steps together when it has done them, and on the CPU at once.
type Check struct {
	OK  *torch.Tensor     // bool: all are true if nothing is wrong
	Err func(i int) error // what is wrong if element i is the first that is false
}

// pending is a Check that has not been read.
type pending struct {
	Check
	step int
}

// check asks questions, and returns what is wrong if the answers are at hand.
func (r *run) check(checks ...Check) error {
	for _, c := range checks {
		if r.device.IsCUDA() {
			r.checks = append(r.checks, pending{c, r.step})
			continue
		}
		for i, ok := range torch.Values[uint8](c.OK) {
			if ok == 0 {
				return c.Err(i)
			}
		}
	}
	return nil
}

// checkState checks the shape of a state and that it is finite.
func (r *run) checkState(what string, t *torch.Tensor) error {
	if err := checkShape(what, t, r.shape); err != nil {
		return err
	}
	return r.check(Check{t.IsFinite().All(), func(int) error { return fmt.Errorf("%s is not finite", what) }})
}

// open are the tensors of checks that have not been read.
func (r *run) open() []*torch.Tensor {
	out := make([]*torch.Tensor, len(r.checks))
	for i, c := range r.checks {
		out[i] = c.OK
	}
	return out
}
