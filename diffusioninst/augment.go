package diffusioninst

import (
	"context"
	"fmt"
	"image"

	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// Augment is test-time augmentation: a picture is looked at in several sizes and
// mirrored, and what the views find is merged. In the zero value there is one view,
// and the result is Segment's.
type Augment struct {
	// Scales are the views' shorter sides in pixels, in place of the model's
	// Input.Short; Input.Longest grows and shrinks with them, unless the model has
	// Input.Scale. A scale may be given twice: each has noise of its own.
	Scales []int
	Flip   bool    // every scale also mirrored left to right
	IoU    float64 // overlap of boxes from which views have found the same object: 0.5
}

// resolve fills in the model's settings.
func (a Augment) resolve(in Input) (Augment, error) {
	for _, scale := range a.Scales {
		if scale < 1 {
			return a, &OptionError{"Augment.Scales", fmt.Sprintf("%d: a side has at least one pixel", scale)}
		}
	}
	if len(a.Scales) == 0 {
		a.Scales = []int{in.Short} // 0 where the model has Input.Scale, which stays
	}
	if a.IoU == 0 {
		a.IoU = 0.5
	}
	if !(a.IoU > 0 && a.IoU <= 1) {
		return a, &OptionError{"Augment.IoU", fmt.Sprintf("%v: want above 0 to 1", a.IoU)}
	}
	return a, nil
}

// SegmentAugmented finds the instances in several views of a picture and merges
// them: instances of one class whose boxes overlap become one. Its score is the best
// view's, its box the mean weighted by the scores, its mask the pixels that more
// than half of the scores' sum is for; of two masks the surer one stands.
// Instances of one view are never merged with each other.
//
// View i of Augment.Scales, mirrored or not, gets the noise of Seed+i, so that the
// mirrored picture has the mirrored result. Options.Score applies to each view,
// Options.Limit to what is merged. Views run one after the other: the memory is that
// of the largest, the time that of all. Errors are Segment's; those of a view name it.
func (m *Model) SegmentAugmented(ctx context.Context, img image.Image, a Augment, o Options) (*Result, error) {
	o, sampling, err := o.resolve(m.config)
	if err != nil {
		return nil, err
	}
	if a, err = a.resolve(m.config.Input); err != nil {
		return nil, err
	}
	if err := m.begin(); err != nil {
		return nil, err
	}
	defer m.use.RUnlock()
	limit := o.Limit
	o.Limit = 0
	turns := []bool{false}
	if a.Flip {
		turns = append(turns, true)
	}
	var views []*Result
	for i, scale := range a.Scales {
		in, err := m.config.Input.scaled(scale).prepare(img)
		if err != nil {
			return nil, err
		}
		for _, mirrored := range turns {
			if mirrored {
				in.mirror()
			}
			found, err := m.look(ctx, in, o, sampling, o.Seed+uint64(i))
			if err != nil {
				return nil, &ViewError{scale, mirrored, err}
			}
			if mirrored {
				found.mirror()
			}
			views = append(views, found)
		}
	}
	return merge(views, a.IoU, limit), nil
}

// ViewError says in which view of a picture segmenting failed.
type ViewError struct {
	Scale    int // of Augment.Scales, or the model's own; 0 where it has Input.Scale
	Mirrored bool
	Err      error
}

func (e *ViewError) Error() string {
	how := ""
	if e.Mirrored {
		how = " mirrored"
	}
	return fmt.Sprintf("diffusioninst: view of scale %d%s: %v", e.Scale, how, e.Err)
}

func (e *ViewError) Unwrap() error { return e.Err }

// look is one pass through the network.
func (m *Model) look(ctx context.Context, in input, o Options, sampling sampler.Config, seed uint64) (*Result, error) {
	r := &run{model: m, options: o, sampling: sampling, inputs: []input{in}}
	var found []*Result
	err := torch.Do(ctx, func(s *torch.Scope) error {
		var err error
		found, err = r.do(ctx, s, sampler.SeededNoise(seed))
		return err
	})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// scaled is in with another shorter side and the longer side's limit in proportion.
// A short of 0 leaves it as it is.
func (in Input) scaled(short int) Input {
	switch {
	case short == 0:
		return in
	case in.Scale == 0:
		in.Longest = max(int(float64(in.Longest)*float64(short)/float64(in.Short)+0.5), short)
	case in.Longest > 0:
		in.Longest = max(in.Longest, short)
	}
	in.Short, in.Scale = short, 0
	return in
}

// mirror turns the pixels left to right, in place.
func (in input) mirror() {
	for row := in.rgb; len(row) > 0; row = row[3*in.width:] {
		for i, j := 0, 3*(in.width-1); i < j; i, j = i+3, j-3 {
			for c := range 3 {
				row[i+c], row[j+c] = row[j+c], row[i+c]
			}
		}
	}
}

// mirror turns boxes and masks left to right, in place.
func (r *Result) mirror() {
	for i := range r.Instances {
		in := &r.Instances[i]
		in.Box = in.Box.FlipX(r.Width)
		in.Mask = in.Mask.FlipHorizontal()
	}
}
