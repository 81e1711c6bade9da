package data

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// An Augmentation makes another sample of a sample. It leaves the pixels and masks that it is
// given as they are, and takes all randomness from r. It is safe for concurrent use.
type Augmentation interface {
	Apply(s Sample, r *rand.Rand) (Sample, error)
}

var errNoRandom = errors.New("data: an augmentation without random numbers")

// Chain applies augmentations one after the other.
type Chain []Augmentation

// Apply applies all of c in order.
func (c Chain) Apply(s Sample, r *rand.Rand) (Sample, error) {
	for _, a := range c {
		if a == nil {
			return Sample{}, errors.New("data: a nil augmentation in a Chain")
		}
		var err error
		if s, err = a.Apply(s, r); err != nil {
			return Sample{}, err
		}
	}
	return s, nil
}

// OneOf applies one of several augmentations, each as likely as the others.
type OneOf []Augmentation

// Apply draws one of o and applies it. An empty o changes nothing.
func (o OneOf) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if len(o) == 0 {
		return s, nil
	}
	if r == nil {
		return Sample{}, errNoRandom
	}
	a := o[r.IntN(len(o))]
	if a == nil {
		return Sample{}, errors.New("data: a nil augmentation in a OneOf")
	}
	return a.Apply(s, r)
}

// Sometimes applies an augmentation with a probability.
type Sometimes struct {
	Probability float64
	Then        Augmentation
}

// Apply applies Then, or returns s as it is.
func (m Sometimes) Apply(s Sample, r *rand.Rand) (Sample, error) {
	if err := checkProbabilities("augmentation", m.Probability); err != nil {
		return Sample{}, err
	}
	if m.Then == nil {
		return Sample{}, errors.New("data: Sometimes without an augmentation")
	}
	if r == nil {
		return Sample{}, errNoRandom
	}
	if r.Float64() >= m.Probability {
		return s, nil
	}
	return m.Then.Apply(s, r)
}

// checkProbabilities refuses what is not a probability.
func checkProbabilities(what string, all ...float64) error {
	for _, p := range all {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("data: %s with a probability of %v: want 0 to 1", what, p)
		}
	}
	return nil
}

// maxPixels bounds what an augmentation makes of a picture: what pictures may have by
// default when they are read (picture.Options.MaxPixels).
const maxPixels = 100_000_000

// checkSize refuses results that are too large.
func checkSize(what string, width, height int) error {
	if width > maxPixels/max(height, 1) {
		return fmt.Errorf("data: %s to %d×%d pixels: more than %d", what, width, height, maxPixels)
	}
	return nil
}

// A Range is what a random number is drawn from uniformly. The ends may be the same.
type Range struct{ Min, Max float64 }

// draw returns a number drawn uniformly between the ends.
func (v Range) draw(r *rand.Rand) float64 { return v.Min + (v.Max-v.Min)*r.Float64() }

// check refuses ranges whose ends are swapped, or that reach down to a number.
func (v Range) check(what string, above float64) error {
	if !(v.Min > above && v.Max >= v.Min && v.Max <= math.MaxInt32) {
		return fmt.Errorf("data: %s from %g to %g", what, v.Min, v.Max)
	}
	return nil
}

// Reference returns the augmentation that DiffusionInst was trained with: a horizontal flip half
// of the time; with crop, half of the time a resize of the short side to 400, 500 or 600
// pixels and a crop of 384 to 600 pixels per side; and a resize of the short side to one
// of a list of sizes, the long one being at most longest.
func Reference(crop bool, short []int, longest int) Augmentation {
	c := Chain{Flip{Horizontal: 0.5}}
	if crop {
		c = append(c, Sometimes{0.5, Chain{
			ResizeShortest{Short: []int{400, 500, 600}},
			RandomCrop{Width: Range{384, 600}, Height: Range{384, 600}},
		}})
	}
	return append(c, ResizeShortest{Short: short, Longest: longest})
}
