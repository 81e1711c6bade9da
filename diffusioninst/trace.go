package diffusioninst

import (
	"context"
	"image"
	"iter"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// Trace is one denoising step, seen from outside.
type Trace struct {
	Step, Steps int       // counted from 0, and how many there are
	Time        int       // of the diffusion: the noisiest is the first
	Boxes       []Box     // every proposal as the step received it, in pixels of the picture, not clipped
	Scores      []float32 // the best score of each proposal after the step
	Found       *Result   // the instances that this step alone makes
}

// SegmentTrace is Segment step by step: boxes as they move, masks as they form. The
// last Trace is followed by nothing; an error, as Segment gives it, ends the sequence.
// Leaving the loop early cancels what is left.
func (m *Model) SegmentTrace(ctx context.Context, img image.Image, o Options) iter.Seq2[*Trace, error] {
	return func(yield func(*Trace, error) bool) {
		_, sampling, err := o.resolve(m.config)
		if err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		// There is room for every step, so that a slow loop does not hold up the worker.
		steps := make(chan *Trace, sampling.Steps)
		done := make(chan error, 1)
		go func() {
			_, err := m.segment(ctx, []image.Image{img}, o, func(t *Trace) { steps <- t })
			close(steps)
			done <- err
		}()
		for t := range steps {
			if !yield(t, nil) {
				cancel()
				<-done
				return
			}
		}
		err = <-done
		cancel()
		if err != nil {
			yield(nil, err)
		}
	}
}

// step describes a step for the first picture: boxes (B,N,4) as it received them,
// scores (B,N,K) and the decoder's last output as it left them.
func (r *run) step(at sampler.Moment, boxes, scores *torch.Tensor, last decoder.Output) *Trace {
	s := scores.Scope()
	mark := s.Mark()
	defer s.Release(mark)
	in := r.inputs[0]
	sx, sy := float32(in.outputW)/float32(in.width), float32(in.outputH)/float32(in.height)
	t := &Trace{Step: at.Step, Steps: r.sampling.Steps, Time: at.T, Scores: torch.Values[float32](scores.Select(0, 0).Amax([]int64{1}, false))}
	b := torch.Values[float32](boxes.Select(0, 0))
	for i := range t.Scores {
		t.Boxes = append(t.Boxes, Box{X1: b[4*i] * sx, Y1: b[4*i+1] * sy, X2: b[4*i+2] * sx, Y2: b[4*i+3] * sy})
	}
	var c candidates
	c.collect(0, scores, last, r.options.Score)
	t.Found = r.finish(s, 0, c)
	return t
}
