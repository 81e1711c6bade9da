package diffusioninst

import "fmt"

// Augment is test-time augmentation: the network looks at a picture in several sizes
// and mirrored, and instances of one class whose boxes overlap become one. Its score is
// the best view's, its box the mean weighted by the scores, and its mask the pixels that
// more than half of the scores' sum is for; of two masks the surer one stands. Instances
// of one view are never merged with each other. In the zero value there is one view. With
// several sizes of Options.Scales that agree, views count as Scales.Consensus says instead.
//
// Views run one after the other: the memory is that of the largest, the time that of
// all. Both views of one scale get the same noise, so that a mirrored picture, if it is
// not cut into tiles, has the mirrored result.
type Augment struct {
	// Scales are the views' shorter sides in pixels, in place of the model's
	// Input.Short; Input.Longest grows and shrinks with them, unless the model has
	// Input.Scale. A scale may be given twice: each has noise of its own.
	Scales []int
	Flip   bool // look at every scale also mirrored left to right
	// IoU is the overlap of boxes from which views have found the same object: 0.5;
	// negative never merges them. It needs Flip or several Scales, and excludes several sizes
	// of Options.Scales that agree.
	IoU float64
}

// look is one way to see a whole picture.
type look struct {
	input    Input
	factor   int // place in Scales.Factors
	scale    int // of Augment.Scales, or the model's own shorter side; 0 with Input.Scale
	index    int // of the scale: what its noise differs by
	mirrored bool
}

// threshold returns the overlap from which views are merged.
func (a Augment) threshold() (float64, error) {
	if a.IoU == 0 {
		return 0.5, nil
	}
	if !(a.IoU <= 1) {
		return 0, optionError("Augment.IoU", "%v: an overlap is at most 1", a.IoU)
	}
	return a.IoU, nil
}

// mostScales bounds the list itself; Options.MaxViews bounds what comes of it.
const mostScales = 100_000

// looks returns the views of a whole picture in each size, plain and mirrored ones in turn.
func (a Augment) looks(in Input, factors []float64) ([]look, error) {
	var out []look
	for k, f := range factors {
		input, err := in.enlarged(f)
		if err != nil {
			return nil, err
		}
		of, err := a.looksOf(input, k)
		if err != nil {
			return nil, err
		}
		out = append(out, of...)
	}
	return out, nil
}

// looksOf are the looks at one of several sizes.
func (a Augment) looksOf(in Input, factor int) ([]look, error) {
	scales := a.Scales
	if len(scales) == 0 {
		scales = []int{in.Short} // 0 with Input.Scale, which stays
	}
	if len(scales) > mostScales {
		return nil, optionError("Augment.Scales", "%d scales: at most %d", len(scales), mostScales)
	}
	var out []look
	for i, scale := range scales {
		if len(a.Scales) > 0 && (scale < 1 || scale > maxSide) {
			return nil, optionError("Augment.Scales", "%d: a side has 1 to %d pixels", scale, maxSide)
		}
		out = append(out, look{in.scaled(scale), factor, scale, i, false})
		if a.Flip {
			out = append(out, look{in.scaled(scale), factor, scale, i, true})
		}
	}
	return out, nil
}

// ViewError says in which view of a picture (see Augment and Scales) segmenting failed.
type ViewError struct {
	Scale    int     // of Augment.Scales, or the shorter side; 0 with Input.Scale
	Factor   float64 // of Scales; 0 if there is one size
	Mirrored bool
	Err      error
}

func (e *ViewError) Error() string { return "diffusioninst: " + e.detail() }

func (e *ViewError) detail() string {
	how := ""
	if e.Mirrored {
		how = " mirrored"
	}
	if e.Factor != 0 {
		how += fmt.Sprintf(" and factor %v", e.Factor)
	}
	if e.Err == nil {
		return fmt.Sprintf("view of scale %d%s", e.Scale, how)
	}
	return fmt.Sprintf("view of scale %d%s: %s", e.Scale, how, detailOf(e.Err))
}

// Unwrap returns the cause.
func (e *ViewError) Unwrap() error { return e.Err }
