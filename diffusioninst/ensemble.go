package diffusioninst

import (
	"cmp"
	"image"
	"slices"

	"github.com/diffusioninst/go/mask"
)

// Ensemble says which steps' detections make up the result of several steps, and
// what becomes of detections of the same object. In the zero value, the paper's, all
// steps' detections go through one non-maximum suppression, and the best stand as
// they are.
type Ensemble struct {
	LastOnly bool // only the last step's detections count

	// Vote is the overlap (IoU of boxes, above 0 to 1) from which detections of its
	// class vote on a result's box and mask, weighted by their scores: the box becomes
	// their mean (Gidaris and Komodakis 2015), the mask the pixels that more than half
	// of the weight is for (Dai et al. 2016). 0 means no vote. It has an effect where
	// detections overlap that much, so hardly without several steps.
	Vote float64
	// Voters is how many detections vote at most, the best ones: 8 where it is 0.
	Voters int
}

func (e Ensemble) check() error {
	if !(e.Vote >= 0 && e.Vote <= 1) {
		return configError("ensemble: detections vote from an overlap of %v: want 0 to 1", e.Vote)
	}
	if e.Voters < 0 {
		return configError("ensemble: %d voters", e.Voters)
	}
	return nil
}

// counts tells whether the detections of a step, of several, belong to the result.
func (e Ensemble) counts(step, steps int) bool { return !e.LastOnly || step == steps-1 }

// voters are the candidates that decide about candidate k, which is the first.
func (e Ensemble) voters(c candidates, k int64) []int64 {
	out := []int64{k}
	if e.Vote == 0 {
		return out
	}
	for j := range c.scores {
		if int64(j) != k && c.classes[j] == c.classes[k] && c.at(int64(j)).IoU(c.at(k)) >= float32(e.Vote) {
			out = append(out, int64(j))
		}
	}
	slices.SortStableFunc(out[1:], func(a, b int64) int { return cmp.Compare(c.scores[b], c.scores[a]) })
	most := e.Voters
	if most == 0 {
		most = 8
	}
	return out[:min(len(out), most)]
}

// meanBox is the mean of the voters' boxes, weighted by their scores.
func meanBox(c candidates, voters []int64) Box {
	if len(voters) == 1 {
		return c.at(voters[0])
	}
	var sum [4]float64
	total := 0.0
	for _, v := range voters {
		weight := float64(c.scores[v])
		total += weight
		for i, x := range c.box(v) {
			sum[i] += weight * float64(x)
		}
	}
	if total == 0 {
		return c.at(voters[0])
	}
	return Box{X1: float32(sum[0] / total), Y1: float32(sum[1] / total), X2: float32(sum[2] / total), Y2: float32(sum[3] / total)}
}

// majority is the mask of the pixels for which more than half of the weight is, given
// masks that lie within a range of pixels.
func majority(masks []*mask.Bitmap, weights []float32, box image.Rectangle) *mask.Bitmap {
	if len(masks) == 1 {
		return masks[0]
	}
	x0, y0, width := box.Min.X, box.Min.Y, box.Dx()
	votes := make([]float64, width*box.Dy())
	total := 0.0
	for i, m := range masks {
		weight := float64(weights[i])
		total += weight
		for y := y0; y < box.Max.Y; y++ {
			for from, to := range m.Row(y) {
				for x := from; x < to; x++ {
					votes[(y-y0)*width+x-x0] += weight
				}
			}
		}
	}
	out := mask.NewBitmap(masks[0].Width, masks[0].Height)
	for i, v := range votes {
		if 2*v > total {
			out.Set(x0+i%width, y0+i/width, true)
		}
	}
	return out
}
