package diffusioninst

import "fmt"

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
	// for all. It needs a Vote.
	Voters int

	// Consensus is the overlap (IoU, above 0 to 1) from which detections of its class in several
	// evaluations are the same object; evaluations are the steps that count, of each of
	// Options.Restarts. An object's score becomes the mean over all evaluations of its best
	// score in each, 0 where it was not found from a score of 0.05 on, or of Options.Score if that is lower, and the best detection of each
	// evaluation votes on box and mask as with Vote. 0 means 0.5 if there are restarts, and else
	// none; negative means none. One evaluation agrees with itself, so that nothing changes. It excludes Vote.
	Consensus float64 `json:",omitempty"`
	// Boxes compares the boxes for a Consensus, which it needs, not the masks: that is faster.
	Boxes bool `json:",omitempty"`
}

// problem says what is impossible in it, or nothing.
func (e Ensemble) problem() string {
	if !(e.Vote <= 1) {
		return fmt.Sprintf("detections vote from an overlap of %v: it is at most 1", e.Vote)
	}
	switch {
	case !(e.Consensus <= 1):
		return fmt.Sprintf("a consensus from an overlap of %v: it is at most 1", e.Consensus)
	case e.Voters != 0 && !(e.Vote > 0):
		return fmt.Sprintf("%d voters without a Vote: it says which detections vote", e.Voters)
	case e.Consensus > 0 && e.Vote > 0:
		return "Vote and Consensus: detections vote in one of the two ways"
	}
	return ""
}

func (e Ensemble) check() error {
	if problem := e.problem(); problem != "" {
		return configError("ensemble: %s", problem)
	}
	return nil
}

// agree is the Ensemble of so many restarts.
func (e Ensemble) agree(restarts int) Ensemble {
	if e.Consensus == 0 && restarts > 1 && !(e.Vote > 0) {
		e.Consensus = 0.5
	}
	return e
}
