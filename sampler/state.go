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
	age  *torch.Tensor // (B,N) int64: number of steps that each has existed
	// known, bool (B,N), is which of them existed at the step before; nil for all.
	known *torch.Tensor
}

func (st state) tensors() []*torch.Tensor {
	out := []*torch.Tensor{st.x, st.age}
	if st.known != nil {
		out = append(out, st.known)
	}
	for _, p := range st.past {
		out = append(out, p.X, p.X0)
	}
	return out
}

// advance makes step i: it moves the proposals that stay to the front, steps, and
// replaces the others by fresh ones. The sampler sees all proposals of a picture, those
// that will be replaced included.
func (r *run) advance(ctx context.Context, i, t, next int, st state, p Prediction) (state, error) {
	keep, err := r.keep(p.Scores)
	if err != nil {
		return state{}, err
	}
	dtype := st.x.DType()
	if r.Float64 {
		dtype = torch.Float64
	}
	st.past = append([]Past{{T: t, X: st.x, X0: p.X0}}, st.past...)
	st, stays := r.sort(st, keep, dtype)
	draw := func() *torch.Tensor { return r.draw().ToDType(dtype) }
	now := st.past[0]
	moved, err := r.Sampler.Step(&Step{
		X: now.X, X0: now.X0, T: t, Next: next, Schedule: r.Schedule, Past: r.known(st.past[1:], st.age), Normal: draw,
		Denoise: func(x *torch.Tensor, t int) (*torch.Tensor, error) { return r.inner(ctx, i, t, x, now.X0) },
	})
	if err != nil {
		return state{}, err
	}
	if err := r.checkState("the sampler's state", moved); err != nil {
		return state{}, err
	}
	if moved.DType() != dtype || moved.Device() != r.device {
		return state{}, fmt.Errorf("the sampler's state is %v on %v, not %v on %v", moved.DType(), moved.Device(), dtype, r.device)
	}
	fresh := draw()
	st.age, st.known = st.age.AddScalar(1), stays
	if stays == nil {
		st.x = moved
	} else {
		st.x = stays.Unsqueeze(2).Where(moved, fresh)
		st.age = st.age.Mul(stays.ToDType(torch.Int64))
	}
	st.past = st.past[:min(len(st.past), memory)]
	return st, nil
}

// sort returns st with each picture's proposals that stay first, in their order, and which rows these are,
// bool (B,N). A nil keep keeps all, and so does a nil result.
func (r *run) sort(st state, keep *torch.Tensor, dtype torch.DType) (state, *torch.Tensor) {
	out := state{x: st.x, age: st.age}
	var index, stays *torch.Tensor
	if keep != nil {
		pictures, proposals := r.shape[0], r.shape[1]
		rows := r.scope.Arange(proposals, torch.Options{DType: torch.Int64, Device: r.device}).Unsqueeze(0)
		k := keep.ToDType(torch.Int64)
		front := k.Cumsum(1)
		count := front.Narrow(1, proposals-1, 1) // (B,1)
		// Row i goes to front[i]−1 if it stays, else behind those: count + i − front[i].
		place := keep.Where(front.AddScalar(-1), rows.Sub(front).Add(count))
		order := r.scope.Zeros(torch.Options{DType: torch.Int64, Device: r.device}, pictures, proposals).
			ScatterAdd(1, place, rows.Expand(pictures, proposals))
		first := r.scope.Arange(pictures, torch.Options{DType: torch.Int64, Device: r.device}).MulScalar(float64(proposals)).Unsqueeze(1)
		index = order.Add(first).Flatten(0, 1)
		stays = rows.Lt(count)
		out.age = st.age.Gather(1, order)
	}
	sorted := func(x *torch.Tensor) *torch.Tensor {
		if index != nil {
			x = x.Flatten(0, 1).IndexSelect(0, index).Reshape(r.shape...)
		}
		return x.ToDType(dtype)
	}
	for _, p := range st.past {
		p.X, p.X0 = sorted(p.X), sorted(p.X0)
		out.past = append(out.past, p)
	}
	return out, stays
}

// known sets Known of each Past: which rows existed at that step.
func (r *run) known(past []Past, age *torch.Tensor) []Past {
	out := make([]Past, len(past))
	for j, p := range past {
		p.Known = age.GtScalar(float64(j)).ToDType(p.X.DType()).Unsqueeze(2)
		out[j] = p
	}
	return out
}

// keep returns which proposals stay, bool (B,N) on the device, nil for all. A policy that decides on
// the host is asked picture by picture.
func (r *run) keep(scores *torch.Tensor) (*torch.Tensor, error) {
	if _, none := r.Renewal.(NoRenewal); none {
		return nil, nil
	}
	if scores == nil {
		return nil, fmt.Errorf("the denoiser returned no scores, which renewal by %T needs", r.Renewal)
	}
	if policy, ok := r.Renewal.(TensorRenewal); ok {
		keep := policy.KeepTensor(scores.ToDType(torch.Float32))
		return keep, checkShape(fmt.Sprintf("the decision of renewal by %T", policy), keep, r.shape[:2])
	}
	proposals := r.shape[1]
	values := torch.Values[float32](scores)
	keep := make([]uint8, len(values))
	for first := 0; first < len(values); first += proposals {
		of := r.Renewal.Keep(values[first : first+proposals])
		if len(of) != proposals {
			return nil, fmt.Errorf("renewal by %T decided on %d of %d proposals", r.Renewal, len(of), proposals)
		}
		for i, k := range of {
			if k {
				keep[first+i] = 1
			}
		}
	}
	return torch.From(r.scope, keep, r.shape[0], proposals).To(r.device).EqScalar(1), nil
}
