package diffusioninst

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Scales is seeing a picture in several sizes: objects that are small for the network are
// found where they are enlarged, large ones where they are seen whole. What several sizes agree on
// is surer than what one has found (Consensus); or each object belongs to one size, and what other
// sizes find of it counts less (Area, Weight, NMS). Zero fields mean the model's own setting
// (Input.Scales).
//
// Sizes are views of one request: they take the time of all together, a picture of twice
// the sides four times that of the plain one. Larger sizes are left out for pictures whose
// objects are large: see Small.
type Scales struct {
	// Factors multiply the sides that the picture has for the network otherwise, such as 1
	// and 2. The default is the model's, without those that a request's Scale makes too large, or 1 alone.
	Factors []float64
	// Consensus is the overlap of masks (IoU) from which detections of a class in several sizes
	// are the same object: 0.65. Its score becomes the mean over the sizes looked at of its best
	// score in each, 0 where it was not found from a score of 0.05 on, or of Options.Score if that is lower, and the best detection of each size
	// votes on box and mask, weighted by its score, as with Ensemble.Consensus. A mirrored look of
	// Augment counts as a further size. Negative gives each object to a size by its area instead.
	Consensus float64 `json:",omitempty"`
	// Largest is the greatest side of an object's box, in parts of a tile's side, with which a size
	// after the first counts in a Consensus on it if it sees the picture in tiles, which cut
	// larger objects: 0.375, which is 1.5 times their usual overlap; negative for any. It excludes a negative Consensus.
	Largest float64 `json:",omitempty"`
	// Area is how large an object should be, in pixels of its mask in the network's input:
	// 300. It belongs to the smallest size in which it is as large as that, else to the
	// largest; negative for the smallest size always.
	Area float64
	// Weight multiplies the scores of detections in a size that the object does not belong
	// to: 0.6; negative to leave them out. It needs a negative Consensus.
	Weight float64
	// NMS is the overlap of masks (IoU) above which the worse of two detections of a class is
	// removed: 0.4; negative for none. It needs a negative Consensus.
	NMS float64
	// Small is the share of the sure detections, whose score is 0.5 or more and by which they are
	// weighted, that must belong to a larger size for that to be looked at: 0.05; negative to look
	// always. A picture without sure detections is looked at in all sizes.
	Small float64 `json:",omitempty"`
}

// over fills in the zero fields from the model's own.
func (o *Scales) over(own *Scales) (Scales, error) {
	var out, defaults Scales
	if o != nil {
		out = *o
	}
	if own != nil {
		defaults = *own
	}
	out.Factors = slices.Clone(out.Factors)
	if len(out.Factors) == 0 {
		out.Factors = slices.Clone(defaults.Factors)
	}
	if len(out.Factors) == 0 {
		out.Factors = []float64{1}
	}
	slices.Sort(out.Factors)
	out.Consensus = cmp.Or(out.Consensus, defaults.Consensus, 0.65)
	out.Largest = cmp.Or(out.Largest, defaults.Largest, 0.375)
	out.Area = cmp.Or(out.Area, defaults.Area, 300)
	out.Weight = cmp.Or(out.Weight, defaults.Weight, 0.6)
	out.NMS = cmp.Or(out.NMS, defaults.NMS, 0.4)
	out.Small = cmp.Or(out.Small, defaults.Small, 0.05)
	return out, out.check()
}

// conflict refuses settings of a request's Scales that all, in which its zero fields are filled in, has no use for.
func (o *Scales) conflict(all Scales) error {
	switch {
	case o == nil || len(all.Factors) < 2:
		return nil
	case all.agree() && (o.Weight != 0 || o.NMS != 0):
		return optionError("Scales", "weight %v and NMS %v with a consensus from an overlap of %v, which leaves none to an object's size: make Consensus negative, or leave them out",
			o.Weight, o.NMS, all.Consensus)
	case !all.agree() && o.Largest != 0:
		return optionError("Scales", "largest %v without a consensus, which alone counts sizes", o.Largest)
	}
	return nil
}

const mostFactors = 16

func (o Scales) check() error {
	if len(o.Factors) > mostFactors {
		return optionError("Scales", "%d factors: at most %d", len(o.Factors), mostFactors)
	}
	for i, f := range o.Factors {
		if !(f > 0 && f <= maxScale) {
			return optionError("Scales", "factor %v: want above 0 to %d", f, maxScale)
		}
		if slices.Contains(o.Factors[:i], f) {
			return optionError("Scales", "factor %v is given twice: another seed or Restarts make a second look differ", f)
		}
	}
	switch {
	case math.IsNaN(o.Area) || math.IsInf(o.Area, 0):
		return optionError("Scales", "an area of %v pixels: want a number", o.Area)
	case !(o.Consensus <= 1) || !(o.Weight <= 1) || !(o.NMS <= 1) || !(o.Small <= 1) || !(o.Largest <= 1):
		return optionError("Scales", "consensus %v, largest %v, weight %v, NMS %v, small %v: each is at most 1", o.Consensus, o.Largest, o.Weight, o.NMS, o.Small)
	}
	return nil
}

// enlarged returns in with the sides of pictures multiplied.
func (in Input) enlarged(factor float64) (Input, error) {
	in.Scales = nil
	if factor == 1 {
		return in, nil
	}
	times := func(n int) int {
		if n <= 0 {
			return n
		}
		return max(int(math.Min(float64(n)*factor+0.5, math.MaxInt32)), 1)
	}
	in.Longest = times(in.Longest)
	if in.Scale > 0 {
		in.Scale *= factor
	} else {
		in.Short = times(in.Short)
	}
	if in.Scale > maxScale || in.Short > maxSide {
		return in, optionError("Scales", "factor %v: sides would be multiplied by %v, or be %d pixels: at most %d and %d", factor, in.Scale, in.Short, maxScale, maxSide)
	}
	return in, nil
}

// possible returns the factors of a model's own that leave a picture within bounds, or 1 if none does.
func (in Input) possible(own []float64) []float64 {
	out := slices.DeleteFunc(own, func(f float64) bool {
		_, err := in.enlarged(f)
		return err != nil
	})
	if len(out) == 0 {
		return []float64{1}
	}
	return out
}

// sized is what was found in one size of a picture, or in one look at it in that size.
type sized struct {
	pixels    float64 // of the network's input per pixel of the picture
	largest   float32 // side of the largest box that it counts for, in pixels of the picture; 0 for any
	instances []Instance
}

// belongs returns the place of the size, among those looked at, that an object belongs to.
func (o Scales) belongs(area int, sizes []sized) int {
	for i, s := range sizes {
		if o.Area < 0 || float64(area)*s.pixels >= o.Area {
			return i
		}
	}
	return len(sizes) - 1
}

// enough reports whether a size need not be looked at, after what the smaller ones have found:
// too few objects belong to it or to a larger one.
func (o Scales) enough(smaller []sized) bool {
	all, small := 0.0, 0.0
	for _, s := range smaller {
		for _, in := range s.instances {
			if in.Score < 0.5 {
				continue
			}
			all += float64(in.Score)
			if float64(in.Area())*s.pixels < o.Area {
				small += float64(in.Score)
			}
		}
	}
	return all > 0 && small < o.Small*all
}

// agree reports whether the sizes' mean scores count.
func (o Scales) agree() bool { return len(o.Factors) > 1 && o.Consensus > 0 }

// across merges what was found in several sizes of a picture, best first.
func (o Scales) across(sizes []sized, least float64) []Instance {
	if o.agree() {
		return o.consensus(sizes, least)
	}
	var all []Instance
	for i, s := range sizes {
		for _, in := range s.instances {
			if o.belongs(in.Area(), sizes) != i {
				in.Score *= float32(max(o.Weight, 0))
			}
			if in.Score > 0 && float64(in.Score) >= least {
				all = append(all, in)
			}
		}
	}
	slices.SortStableFunc(all, byScore)
	if o.NMS < 0 {
		return all
	}
	return suppress(all, func(better, in Instance) bool { return masksOverlap(better, in) > o.NMS })
}

// consensus merges what the sizes agree on.
func (o Scales) consensus(sizes []sized, least float64) []Instance {
	var all []Instance
	c := candidates{evaluations: len(sizes), counts: func(evaluation int, b Box) bool {
		most := sizes[evaluation].largest
		return most == 0 || max(b.X2-b.X1, b.Y2-b.Y1) <= most
	}}
	for i, s := range sizes {
		for _, in := range s.instances {
			all = append(all, in)
			c.boxes, c.scores, c.classes = append(c.boxes, in.Box), append(c.scores, in.Score), append(c.classes, int64(in.Class))
			c.evaluation = append(c.evaluation, int32(i))
		}
	}
	var out []Instance
	for _, object := range c.consensus(c.ranked(), o.Consensus, least, func(a, b int64) float64 { return masksOverlap(all[a], all[b]) }) {
		votes := make([]Instance, len(object.votes))
		for k, v := range object.votes {
			votes[k] = all[v]
		}
		in := voted(votes)
		in.Score = object.score
		out = append(out, in)
	}
	return out
}

// masksOverlap returns the IoU of two masks of a picture.
func masksOverlap(a, b Instance) float64 {
	if a.Box.IoU(b.Box) == 0 {
		return 0 // masks lie inside their boxes
	}
	iou, err := a.Mask.IoU(b.Mask)
	if err != nil {
		panic(err) // of one picture: not reached
	}
	return iou
}

// String returns the factors and the settings.
func (o *Scales) String() string {
	return fmt.Sprintf("%v, consensus %v, largest %v, area %v, weight %v, NMS %v, small %v", o.Factors, o.Consensus, o.Largest, o.Area, o.Weight, o.NMS, o.Small)
}
