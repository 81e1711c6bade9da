package diffusioninst

import (
	"maps"
	"slices"

	"github.com/diffusioninst/go/sampler"
)

// StepResult is one denoising step of a picture, seen from outside.
type StepResult struct {
	Picture     int // of the batch
	Restart     int // of Options.Restarts, counted from 0
	Step, Steps int // counted from 0, and how many there are
	Time        int // of the diffusion: the noisiest is the first
	// Boxes are all proposals of all views as the step received them, in pixels of the
	// picture, not clipped, and Scores the best score of each after the step.
	Boxes  []Box
	Scores []float32
	Result *Result // the instances that this step alone makes
}

// recorder puts the steps of a picture together from the views of all passes.
type recorder struct {
	request *request
	steps   map[[3]int]*recorded // by picture, restart and step
}

// recorded is what is known of a step so far.
type recorded struct {
	result StepResult
	found  [][]Instance // by view of the picture
	held   int64        // bytes of their masks
}

// add takes what a step made of a view, and reports the step when no view is missing.
func (r *recorder) add(v view, restart int, at sampler.Moment, boxes []Box, scores []float32, found []Instance) {
	key := [3]int{v.picture, restart, at.Step}
	step := r.steps[key]
	if step == nil {
		step = &recorded{result: StepResult{Picture: v.picture, Restart: restart, Step: at.Step, Steps: r.request.sampling.Steps, Time: at.T}}
		r.steps[key] = step
	}
	step.result.Boxes = append(step.result.Boxes, boxes...)
	step.result.Scores = append(step.result.Scores, scores...)
	step.found = append(step.found, found)
	mass := massOf(found)
	step.held += mass
	r.request.held += mass
	r.settle(key)
}

// settle reports a step if no view of its picture is missing.
func (r *recorder) settle(key [3]int) {
	step := r.steps[key]
	if views := r.request.byPicture[key[0]]; len(step.found) == len(views) {
		delete(r.steps, key)
		r.request.held -= step.held
		step.result.Result = r.request.merge(views, step.found)
		r.request.onStep(&step.result)
	}
}

// settleAll reports the steps of a picture that has fewer views than it had.
func (r *recorder) settleAll(picture int) {
	for _, key := range slices.SortedFunc(maps.Keys(r.steps), func(a, b [3]int) int { return slices.Compare(a[:], b[:]) }) {
		if key[0] == picture {
			r.settle(key)
		}
	}
}
