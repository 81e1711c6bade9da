//go:build cgo

package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
)

// A sizeHint notices objects that are larger than those a model has learned. Such a model
// sees pictures in tiles at a scale of their own size, and cuts or misses what is much larger
// than the tiles' overlap: for builtin:nuclei, what is larger than 80 pixels.
type sizeHint struct {
	scale       float64 // from a picture's pixels to the network's
	most        float64 // side of an object in the network's pixels, 5/4 of the tiles' overlap; 0 without tiles
	found, over int     // instances, and those larger than most
}

func newSizeHint(in diffusioninst.Input, o diffusioninst.Options) *sizeHint {
	h := &sizeHint{scale: cmp.Or(o.Scale, in.Scale)}
	tile := cmp.Or(max(o.Tile, 0), in.Tile)
	if !(h.scale > 0) || tile <= 0 || o.Tile < 0 || len(o.Augment.Scales) > 0 {
		return h
	}
	if s := cmp.Or(o.Scales, in.Scales); s != nil && len(s.Factors) > 0 {
		h.scale *= slices.Min(s.Factors)
	}
	overlap := in.Overlap                // negative for none: nothing can be said then
	if overlap == 0 || overlap >= tile { // as the library does with smaller tiles than the model's
		overlap = tile / 4
	}
	h.most = 1.25 * float64(max(overlap, 0))
	return h
}

// add counts the instances of a picture.
func (h *sizeHint) add(p *coco.LabeledImage) {
	if h.most == 0 {
		return
	}
	for _, v := range p.Instances {
		h.found++
		if side := max(v.Box[2], v.Box[3]); side*h.scale > h.most {
			h.over++
		}
	}
}

// String returns what to try if at least a quarter of the instances, and at least three, are
// too large; otherwise nothing.
func (h *sizeHint) String() string {
	if h.over < 3 || 4*h.over < h.found {
		return ""
	}
	return fmt.Sprintf("%d of %d instances are larger than %.0f pixels, from where on this model cuts or misses objects: try --scale %.3g",
		h.over, h.found, h.most/h.scale, h.scale/2)
}
