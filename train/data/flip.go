package data

import (
	"math/rand/v2"

	"github.com/diffusioninst/go/mask"
)

// Flip mirrors the picture left to right and top to bottom, each with its own
// probability.
type Flip struct{ Horizontal, Vertical float64 }

// Apply mirrors s or returns it as it is.
func (f Flip) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	if err := checkProbabilities("flip", f.Horizontal, f.Vertical); err != nil {
		return Sample{}, err
	}
	if r.Float64() < f.Horizontal {
		s = flipHorizontal(s)
	}
	if r.Float64() < f.Vertical {
		s = flipVertical(s)
	}
	return s, nil
}

func flipHorizontal(s Sample) Sample {
	rgb := make([]uint8, len(s.RGB))
	for y := range s.Height {
		row, to := s.RGB[3*s.Width*y:][:3*s.Width], rgb[3*s.Width*y:][:3*s.Width]
		for i, j := 0, len(row)-3; j >= 0; i, j = i+3, j-3 {
			to[i], to[i+1], to[i+2] = row[j], row[j+1], row[j+2]
		}
	}
	box := func(b mask.Box) mask.Box { return b.FlipX(s.Width) }
	return change{s.Width, s.Height, rgb, box, (*mask.Bitmap).FlipHorizontal}.apply(s)
}

func flipVertical(s Sample) Sample {
	rgb := make([]uint8, 0, len(s.RGB))
	for y := s.Height - 1; y >= 0; y-- {
		rgb = append(rgb, s.RGB[3*s.Width*y:][:3*s.Width]...)
	}
	box := func(b mask.Box) mask.Box { return b.FlipY(s.Height) }
	return change{s.Width, s.Height, rgb, box, (*mask.Bitmap).FlipVertical}.apply(s)
}

// Rotate90 turns the picture by no, one, two or three quarters, each as likely.
type Rotate90 struct{}

// Apply turns s.
func (Rotate90) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if r == nil {
		return Sample{}, errNoRandom
	}
	switch r.IntN(4) {
	case 1:
		return turn(s), nil
	case 2:
		return flipVertical(flipHorizontal(s)), nil
	case 3:
		return flipVertical(flipHorizontal(turn(s))), nil
	}
	return s, nil
}

// turn turns a sample by a quarter clockwise: pixel (x, y) goes to (h−1−y, x).
func turn(s Sample) Sample {
	w, h := s.Width, s.Height
	rgb := make([]uint8, len(s.RGB))
	for y := range h {
		row := s.RGB[3*w*y:][:3*w]
		for x := range w {
			copy(rgb[3*(x*h+h-1-y):][:3], row[3*x:])
		}
	}
	box := func(b mask.Box) mask.Box { return mask.Box{X1: b.Y1, Y1: b.X1, X2: b.Y2, Y2: b.X2}.FlipX(h) }
	return change{h, w, rgb, box, (*mask.Bitmap).Rotate90}.apply(s)
}
