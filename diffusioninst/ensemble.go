package diffusioninst

// Ensemble says which steps' detections make up the result of several steps, and
// what becomes of detections of the same object. In the zero value, the paper's, all
// steps' detections go through one non-maximum suppression, and the best stand as
// they are.
type Ensemble struct {
	LastOnly bool // only the last step's detections count

	// Vote is the overlap (IoU of boxes, above 0 to 1) from which detections of its
	// class vote on a result's box and mask, weighted by their scores: the box becomes
	// their mean (Gidaris and Komodakis 2015), the mask the pixels that more than half
	// of the weight is for (Dai et al. 2016). 0 or negative means no vote. It has an
	// effect where detections overlap that much, so hardly without several steps.
	Vote float64
	// Voters is the greatest number of detections that vote, the best ones: 8; negative
	// for all.
	Voters int
}

func (e Ensemble) check() error {
	if !(e.Vote <= 1) {
		return configError("ensemble: detections vote from an overlap of %v: it is at most 1", e.Vote)
	}
	return nil
}
