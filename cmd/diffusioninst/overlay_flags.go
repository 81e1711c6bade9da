package main

import (
	"image"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// addOverlayFlags adds the flags of all commands that draw instances.
func addOverlayFlags(cmd *cobra.Command, o *mask.OverlayOptions) {
	f := cmd.Flags()
	f.IntVar(&o.Labels, "labels", 0, "how many instances of a picture are labelled at most, in their order (0: all, or none if there are more than 20 or all are of one class; negative: none)")
	f.IntVar(&o.Boxes, "boxes", 0, "how many boxes are drawn at most, as --labels")
	f.IntVar(&o.LineWidth, "line-width", 0, "width of contours and boxes in pixels (0: by the sizes of picture and instances; negative: none)")
}

// drawInstances draws the instances of a picture. Instances of a single class are labelled with
// their numbers in the other formats, since the class says nothing.
func drawInstances(img image.Image, p *coco.LabeledImage, o mask.OverlayOptions) (*image.RGBA, error) {
	items, err := p.OverlayItems()
	if err != nil {
		return nil, err
	}
	single := true
	for i := range items {
		single = single && items[i].Class == items[0].Class
	}
	if o.Labels > 0 && single {
		for i, label := range p.Labels() {
			items[i].Label = strconv.FormatUint(uint64(label), 10)
		}
	}
	return mask.Overlay(img, items, o)
}
