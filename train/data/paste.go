package data

import (
	"image"
	"math/rand/v2"
	"slices"

	"github.com/diffusioninst/go/mask"
)

// paste puts each object of other with probability ½ on s, pixel by pixel and at one random
// shift for all, which is none for pictures of equal size (Ghiasi et al., arXiv
// 2012.07177, without blending). The objects of s lose what is covered then: the whole of it, or
// the mask shrinks and the box is the mask's. Neither s nor other changes.
func paste(s, other Sample, r *rand.Rand) (Sample, error) {
	at := image.Pt(shift(s.Width, other.Width, r), shift(s.Height, other.Height, r))
	part := image.Rect(0, 0, s.Width, s.Height).Sub(at) // of other, that lies on s
	box := func(b mask.Box) mask.Box { return b.Affine(1, 1, float64(at.X), float64(at.Y)) }
	chosen := Sample{}
	for _, o := range other.Objects {
		if r.IntN(2) == 0 {
			chosen.Objects = append(chosen.Objects, o)
		}
	}
	pasted := change{s.Width, s.Height, nil, box, func(m *mask.Bitmap) *mask.Bitmap { return m.Crop(part) }}.apply(chosen).Objects
	if len(pasted) == 0 {
		return s, nil
	}
	out := Sample{ID: s.ID, Width: s.Width, Height: s.Height, RGB: slices.Clone(s.RGB)}
	for _, o := range pasted {
		for y := o.Mask.Rect.Min.Y; y < o.Mask.Rect.Max.Y; y++ {
			for x0, x1 := range o.Mask.Row(y) {
				from := 3 * ((y-at.Y)*other.Width + x0 - at.X)
				copy(out.RGB[3*(y*s.Width+x0):3*(y*s.Width+x1)], other.RGB[from:])
			}
		}
	}
	for _, o := range s.Objects {
		if err := o.cover(pasted); err != nil {
			return Sample{}, err
		}
		if !o.Mask.Empty() {
			out.Objects = append(out.Objects, o)
		}
	}
	out.Objects = append(out.Objects, pasted...)
	return out, nil
}

// cover takes from an object what others cover.
func (o *Object) cover(others []Object) error {
	for _, other := range others {
		common, err := mask.Intersection(o.Mask, other.Mask)
		if err != nil {
			return err
		}
		if common.Empty() {
			continue
		}
		if o.Mask, err = mask.Difference(o.Mask, other.Mask); err != nil {
			return err
		}
		o.Box = mask.BoxOf(o.Mask.Box())
	}
	return nil
}

// shift is a random shift of a side of length n on one of length size: no part of the shorter
// side lies beyond the longer one.
func shift(size, n int, r *rand.Rand) int {
	least, most := min(0, size-n), max(0, size-n)
	return least + r.IntN(most-least+1)
}
