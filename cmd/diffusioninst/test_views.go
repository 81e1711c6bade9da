//go:build cgo

package main

import (
	"context"
	"fmt"
	"image"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
)

func addViewsFlag(cmd *cobra.Command, views *[]string) {
	cmd.Flags().StringSliceVar(views, "tta", nil, `test-time augmentation: shorter sides in pixels, "flip" for mirrored views too, such as 640,800,flip`)
}

// parseViews reads the values of --tta; nil without any.
func parseViews(values []string) (*diffusioninst.Augment, error) {
	if len(values) == 0 {
		return nil, nil
	}
	a := &diffusioninst.Augment{}
	for _, v := range values {
		if v == "flip" {
			a.Flip = true
			continue
		}
		side, err := strconv.Atoi(v)
		if err != nil || side < 1 {
			return nil, fmt.Errorf(`--tta %s: neither a number of pixels nor "flip"`, v)
		}
		a.Scales = append(a.Scales, side)
	}
	return a, nil
}

// segmentWith segments pictures as they are or, with views not nil, in several views.
func segmentWith(m *diffusioninst.Model, views *diffusioninst.Augment) evaluation.Segment {
	if views == nil {
		return m.Segment
	}
	return func(ctx context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error) {
		return m.SegmentAugmented(ctx, img, *views, o)
	}
}
