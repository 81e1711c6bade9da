package main

import (
	"cmp"
	"fmt"
	"math"

	"github.com/diffusioninst/go/coco"
)

// defaultMaxPixels is the greatest picture that masks are drawn for, as for pictures that
// are read: a file of a few hundred bytes may claim any size.
const defaultMaxPixels = 100_000_000

// maskBits is how many bits of masks of one picture are held at once, per pixel of the
// greatest picture: 8 GB for the default.
const maskBits = 640

// checkPixels refuses pictures whose masks would take too much memory. A limit of 0 is the
// default, a negative one none.
func checkPixels(p *coco.LabeledImage, limit int) error {
	if p.Width < 0 || p.Height < 0 {
		return fmt.Errorf("%s: a picture of %d×%d pixels", p.FileName, p.Width, p.Height)
	}
	if limit < 0 {
		return nil
	}
	most := float64(cmp.Or(limit, defaultMaxPixels))
	pixels := float64(p.Width) * float64(p.Height)
	bits := 0.0 // of masks in their boxes, in words of 64
	for i := range p.Instances {
		_, _, w, h := p.Instances[i].Mask.BBox()
		bits += (w + 64) * h
	}
	switch {
	case pixels > most:
		return fmt.Errorf("%s: a picture of %d×%d pixels, the limit is %.0f pixels: raise it with --max-pixels if that is its size", p.FileName, p.Width, p.Height, most)
	case bits > maskBits*most:
		return fmt.Errorf("%s: %d masks on %d×%d pixels take %.1f GB, the limit is %.1f GB: raise it with --max-pixels", p.FileName,
			len(p.Instances), p.Width, p.Height, math.Ceil(bits/8e8)/10, maskBits*most/8e9)
	}
	return nil
}
