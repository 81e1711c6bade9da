package sampler

import "github.com/diffusioninst/go/torch"

// Pending are the answers of a run's Checks on a GPU, which have not been read.
type Pending struct {
	sampler string
	answers *torch.Tensor
	of      []pending // of each answer
	at      []int     // its element in the check
}

// Answers returns them as uint8 in a row, 0 where something is wrong; nil if there are none. They lie on the device, in the scope of
// the run.
func (p *Pending) Answers() *torch.Tensor {
	if p == nil {
		return nil
	}
	return p.answers
}

// Err returns the *StepError of the first of the answers of Answers that is 0.
func (p *Pending) Err(answers []uint8) error {
	if p == nil {
		return nil
	}
	for k, ok := range answers[:min(len(answers), len(p.of))] {
		if ok == 0 {
			return &StepError{p.sampler, p.of[k].step, p.of[k].Err(p.at[k])}
		}
	}
	return nil
}

// read waits for the answers and returns what Err does.
func (p *Pending) read() error {
	if p.answers == nil {
		return nil
	}
	return p.Err(torch.Values[uint8](p.answers))
}

// pending returns the checks that have not been read.
func (r *run) pending() *Pending {
	out := &Pending{sampler: r.Sampler.String()}
	if len(r.checks) == 0 {
		return out
	}
	var flat []*torch.Tensor
	for _, c := range r.checks {
		flat = append(flat, c.OK.Reshape(-1))
		for i := range c.OK.Elements() {
			out.of, out.at = append(out.of, c), append(out.at, i)
		}
	}
	r.checks = nil
	out.answers = r.scope.Hold(func() *torch.Tensor { return torch.Cat(flat, 0).ViewDType(torch.Uint8) })
	return out
}

// failed reads all checks in one copy, and returns the *StepError of the first that failed.
func (r *run) failed() error {
	return r.pending().read()
}
