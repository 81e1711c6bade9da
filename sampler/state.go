package sampler

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// memory is the number of earlier steps that a sampler can see.
const memory = 3

// state is what a run passes from one step to the next.
type state struct {
	x    *torch.Tensor // (B,N,D)
	past []Past        // latest first, its rows in x's order, without Known
	age  []int         // number of steps that row b·N+i has existed
}

func (st state) tensors() []*torch.Tensor {
	out := []*torch.Tensor{st.x}
	for _, p := range st.past {
		out = append(out, p.X, p.X0)
	}
	return out
}

// advance makes step i: it moves the proposals that stay to the front, steps, and
// replaces the others by fresh ones. The sampler sees all proposals of a picture, those
// that will be replaced included.
func (r *run) advance(ctx context.Context, i, t, next int, st state, p Prediction) (state, error) {
	order, kept, err := r.order(p.Scores)
	if err != nil {
		return state{}, err
	}
	dtype := st.x.DType()
	if r.Float64 {
		dtype = torch.Float64
	}
	st.past = append([]Past{{T: t, X: st.x, X0: p.X0}}, st.past...)
	st = r.sort(st, order, dtype)
	draw := func() *torch.Tensor { return r.draw().ToDType(dtype) }
	now := st.past[0]
	moved, err := r.Sampler.Step(&Step{
		X: now.X, X0: now.X0, T: t, Next: next, Schedule: r.Schedule, Past: r.known(st.past[1:], st.age), Normal: draw,
		Denoise: func(x *torch.Tensor, t int) (*torch.Tensor, error) { return r.inner(ctx, i, t, x) },
	})
	if err != nil {
		return state{}, err
	}
	if err := checkState("the sampler's state", moved, r.shape); err != nil {
		return state{}, err
	}
	if moved.DType() != dtype || moved.Device() != r.device {
		return state{}, fmt.Errorf("the sampler's state is %v on %v, not %v on %v", moved.DType(), moved.Device(), dtype, r.device)
	}
	fresh := draw()
	proposals := r.shape[1]
	rows := r.scope.Arange(proposals, torch.Options{DType: torch.Int64, Device: r.device}).Reshape(1, proposals, 1)
	stays := rows.Lt(torch.From(r.scope, kept, r.shape[0], 1, 1).To(r.device))
	st.x = stays.Where(moved, fresh)
	st.past = st.past[:min(len(st.past), memory)]
	for row := range st.age {
		st.age[row]++
		if row%proposals >= int(kept[row/proposals]) {
			st.age[row] = 0
		}
	}
	return st, nil
}

// sort returns st with the rows of the past and their ages reordered.
func (r *run) sort(st state, order []int64, dtype torch.DType) state {
	index := torch.From(r.scope, order).To(r.device)
	sorted := func(x *torch.Tensor) *torch.Tensor {
		return x.Flatten(0, 1).IndexSelect(0, index).Reshape(r.shape...).ToDType(dtype)
	}
	out := state{x: st.x, age: make([]int, len(st.age))}
	for _, p := range st.past {
		p.X, p.X0 = sorted(p.X), sorted(p.X0)
		out.past = append(out.past, p)
	}
	for row := range out.age {
		out.age[row] = st.age[order[row]]
	}
	return out
}

// known sets Known of each Past: which rows existed at that step.
func (r *run) known(past []Past, age []int) []Past {
	out := make([]Past, len(past))
	for j, p := range past {
		known := make([]float32, len(age))
		for row, a := range age {
			if a > j {
				known[row] = 1
			}
		}
		p.Known = torch.From(r.scope, known, r.shape[0], r.shape[1], 1).To(r.device).ToDType(p.X.DType())
		out[j] = p
	}
	return out
}

// order returns every picture's rows b·N+i, those that stay first, and how many stay.
func (r *run) order(scores *torch.Tensor) (order, kept []int64, err error) {
	proposals := r.shape[1]
	values := make([]float32, r.shape[0]*r.shape[1])
	if scores != nil {
		values = torch.Values[float32](scores)
	} else if _, none := r.Renewal.(NoRenewal); !none {
		return nil, nil, fmt.Errorf("the denoiser returned no scores, which renewal by %T needs", r.Renewal)
	}
	for first := 0; first < len(values); first += proposals {
		keep := r.Renewal.Keep(values[first : first+proposals])
		if len(keep) != proposals {
			return nil, nil, fmt.Errorf("renewal by %T decided on %d of %d proposals", r.Renewal, len(keep), proposals)
		}
		var gone []int64
		n := int64(0)
		for i, k := range keep {
			if k {
				order = append(order, int64(first+i))
				n++
			} else {
				gone = append(gone, int64(first+i))
			}
		}
		order, kept = append(order, gone...), append(kept, n)
	}
	return order, kept, nil
}
