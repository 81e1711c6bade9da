//go:build cgo

package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/diffusioninst"
)

func addViewsFlag(cmd *cobra.Command, views *[]string) {
	cmd.Flags().StringSliceVar(views, "tta", nil, `test-time augmentation: shorter sides in pixels of the views, and "flip" for mirrored ones too, such as 640,800,flip`)
}

// parseViews reads the values of --tta.
func parseViews(values []string) (diffusioninst.Augment, error) {
	var a diffusioninst.Augment
	for _, v := range values {
		if v == "flip" {
			a.Flip = true
			continue
		}
		side, err := strconv.Atoi(v)
		if err != nil || side < 1 {
			return a, fmt.Errorf(`--tta %s: neither a number of pixels nor "flip"`, v)
		}
		a.Scales = append(a.Scales, side)
	}
	return a, nil
}
