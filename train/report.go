package train

import (
	"github.com/diffusioninst/go/train/journal"
)

// A Report says what one training step did.
type Report struct {
	Step   int     // number of the step, counted from 0 over the whole run
	Losses []Loss  // weighted terms of the objective, the last decoder stage's first
	Total  float64 // sum of Losses
	Norm   float64 // L2 norm of the gradient of all parameters, before clipping
	Rate   float64 // learning rate
	// Pictures is the number of pictures of the whole batch, of all parts and processes.
	Pictures int
	// Skipped reports that the gradient overflowed, which happens in float16 only. No
	// parameter was changed, and the next step multiplies the losses by a smaller factor.
	Skipped bool
}

// A Loss is one weighted term of the objective at one decoder stage.
type Loss struct {
	// Name is loss_ce, loss_bbox, loss_giou, loss_masks or the name of a StageLoss for the
	// last stage; for the earlier stages a suffix follows: loss_ce_0, loss_ce_1, ….
	Name  string
	Value float64
}

// add adds the losses of another part of the batch, which has the same terms.
func (r *Report) add(losses []Loss) {
	if r.Losses == nil {
		r.Losses = losses
	} else {
		addLosses(r.Losses, losses)
	}
	for _, l := range losses {
		r.Total += l.Value
	}
}

// addLosses adds the values of b to a's, term by term.
func addLosses(a, b []Loss) {
	for i := range b {
		a[i].Value += b[i].Value
	}
}

// scalars returns the report's numbers for the journal.
func (r *Report) scalars() []journal.Scalar {
	out := []journal.Scalar{{Name: "loss", Value: r.Total}}
	for _, l := range r.Losses {
		out = append(out, journal.Scalar{Name: l.Name, Value: l.Value})
	}
	return append(out, journal.Scalar{Name: "gradient_norm", Value: r.Norm}, journal.Scalar{Name: "rate", Value: r.Rate})
}
