//go:build cgo

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
)

func TestSizeHint(t *testing.T) {
	boxes := func(sides ...float64) *coco.LabeledImage {
		p := &coco.LabeledImage{}
		for _, side := range sides {
			p.Instances = append(p.Instances, coco.LabeledInstance{Box: [4]float64{5, 5, side, 10}, HasBox: true})
		}
		return p
	}
	tiles := diffusioninst.Input{Scale: 1, Tile: 256}
	large := boxes(81, 90, 100, 20)
	for name, c := range map[string]struct {
		in   diffusioninst.Input
		o    diffusioninst.Options
		r    *coco.LabeledImage
		want string
	}{
		"large":            {in: tiles, r: large, want: "3 of 4 instances are larger than 80 pixels, from where on this model cuts or misses objects: try --scale 0.5"},
		"small":            {in: tiles, r: boxes(80, 80, 80, 64)},
		"a few of many":    {in: tiles, r: boxes(81, 90, 100, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20)},
		"two":              {in: tiles, r: boxes(90, 90)},
		"half the scale":   {in: tiles, o: diffusioninst.Options{Scale: 0.5}, r: large},
		"still too large":  {in: tiles, o: diffusioninst.Options{Scale: 0.5}, r: boxes(170, 180, 190), want: "3 of 3 instances are larger than 160 pixels, from where on this model cuts or misses objects: try --scale 0.25"},
		"larger tiles":     {in: tiles, o: diffusioninst.Options{Tile: 512}, r: large},
		"no tiles":         {in: tiles, o: diffusioninst.Options{Tile: -1}, r: large},
		"a larger overlap": {in: diffusioninst.Input{Scale: 1, Tile: 256, Overlap: 128}, r: large},
		"smaller tiles":    {in: diffusioninst.Input{Scale: 1, Tile: 256, Overlap: 128}, o: diffusioninst.Options{Tile: 128}, r: boxes(41, 41, 41), want: "3 of 3 instances are larger than 40 pixels, from where on this model cuts or misses objects: try --scale 0.5"},
		"no overlap":       {in: diffusioninst.Input{Scale: 1, Tile: 256, Overlap: -1}, r: boxes(5, 5, 5)},
		"sides are given":  {in: tiles, o: diffusioninst.Options{Augment: diffusioninst.Augment{Scales: []int{640}}}, r: large},
		"resized pictures": {in: diffusioninst.Input{Short: 800}, r: large},
	} {
		h := newSizeHint(c.in, c.o)
		h.add(c.r)
		require.Equal(t, c.want, h.String(), name)
	}
}
