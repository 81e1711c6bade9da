package diffusioninst

import (
	"image"
)

// Quirks says whether oddities of the reference implementation are reproduced.
type Quirks int

const (
	// NoQuirks is what one would expect: the last step takes part in the ensemble,
	// masks reach to the edge of their boxes, and only detections above a score count.
	NoQuirks Quirks = iota
	// Reference reproduces the official PyTorch code, for comparing results. The last
	// of several steps does not take part in the ensemble, box edges are cut to whole
	// numbers, the state is float64 after the first step, NMS moves the classes apart
	// instead of comparing them, and there is no least score and no limit on the number
	// of instances. In training, matching drops a ground truth that loses its last
	// proposal to another.
	Reference
)

// rules are all that Quirks decides about a request.
type rules struct {
	float64State bool // the sampler keeps its state in float64 after the first step
	lastCounts   bool // the last of several steps takes part in the ensemble
	noThreshold  bool // no least score and no limit
	shiftClasses bool // NMS adds an offset to the boxes of each class, which rounds them
	// pixels returns the pixels of a w×h picture that a box covers.
	pixels func(b Box, w, h int) image.Rectangle
}

func (q Quirks) rules() rules {
	if q == Reference {
		return rules{float64State: true, noThreshold: true, shiftClasses: true, pixels: Box.TruncatedPixels}
	}
	return rules{lastCounts: true, pixels: Box.Pixels}
}

// check refuses unknown values, and options that contradict the reference's way.
func (q Quirks) check() error {
	if q != NoQuirks && q != Reference {
		return configError("quirks %d: want NoQuirks or Reference", int(q))
	}
	return nil
}

// conflict returns an error for options that the reference does not have.
func (q Quirks) conflict(o Options, e Ensemble) error {
	if q != Reference {
		return nil
	}
	const none = "the model reproduces the reference (Quirks), which has none"
	switch {
	case o.Score > 0:
		return optionError("Score", "%v: %s", o.Score, none)
	case o.Limit > 0:
		return optionError("Limit", "%d: %s", o.Limit, none)
	case o.Restarts > 1:
		return optionError("Restarts", "%d: %s", o.Restarts, none)
	case e.Consensus > 0:
		return optionError("Ensemble", "Consensus %v: %s", e.Consensus, none)
	case e.LastOnly:
		return optionError("Ensemble", "LastOnly: the model reproduces the reference (Quirks), whose last step does not count")
	}
	return nil
}
