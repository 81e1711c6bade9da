package data

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Scale resizes the picture by a random factor and cuts a random part of a fixed size
// out of it.
type Scale struct {
	Factor Range
	// Width and Height are the part's. A side that the resized picture does not have is
	// all of it, without padding: a batch is padded anyway, with what the network takes for
	// nothing, and boxes should be parts of what there is to see. 0 cuts nothing.
	Width, Height int
}

// Apply resizes and crops s.
func (a Scale) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	if err := a.Factor.check("factor of the size", 0); err != nil {
		return Sample{}, err
	}
	if a.Width < 0 || a.Height < 0 {
		return Sample{}, fmt.Errorf("data: crop of %d×%d pixels", a.Width, a.Height)
	}
	factor := a.Factor.draw(r)
	w, h, err := scaled(s, factor)
	if err != nil {
		return Sample{}, err
	}
	cw, ch := w, h
	if a.Width > 0 {
		cw = min(w, a.Width)
	}
	if a.Height > 0 {
		ch = min(h, a.Height)
	}
	if err := checkSize("scaling", cw, ch); err != nil {
		return Sample{}, err
	}
	return view(s, w, h, place(w, h, cw, ch, r)), nil
}

// LargeScaleJitter fits the picture into Width × Height pixels, resizes it by a random
// factor, usually 0.1 to 2, and cuts a random part of that size out of it, or pads it on
// the right and below with a mean colour (Ghiasi et al., Simple Copy-Paste is a Strong Data
// Augmentation Method for Instance Segmentation, arXiv 2012.07177).
type LargeScaleJitter struct {
	Factor        Range
	Width, Height int
}

// Apply resizes s and crops or pads it.
func (a LargeScaleJitter) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	if err := a.Factor.check("factor of the size", 0); err != nil {
		return Sample{}, err
	}
	if a.Width < 1 || a.Height < 1 {
		return Sample{}, fmt.Errorf("data: large-scale jitter to %d×%d pixels", a.Width, a.Height)
	}
	if err := checkSize("large-scale jitter", a.Width, a.Height); err != nil {
		return Sample{}, err
	}
	fit := min(float64(a.Width)/float64(s.Width), float64(a.Height)/float64(s.Height))
	w, h, err := scaled(s, fit*a.Factor.draw(r))
	if err != nil {
		return Sample{}, err
	}
	return view(s, w, h, place(w, h, a.Width, a.Height, r)), nil
}

// scaled returns the size of a sample times a factor, rounded, at least 1.
func scaled(s Sample, factor float64) (w, h int, err error) {
	fw, fh := math.Round(float64(s.Width)*factor), math.Round(float64(s.Height)*factor)
	if fw > 1<<20 || fh > 1<<20 {
		return 0, 0, fmt.Errorf("data: %d×%d pixels times %g is too large", s.Width, s.Height, factor)
	}
	return max(1, int(fw)), max(1, int(fh)), nil
}
