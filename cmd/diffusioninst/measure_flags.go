package main

import (
	"fmt"
	"image"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/diffusioninst/go/coco"
)

// measureFlags are the flags of all commands that write what is found.
type measureFlags struct {
	pixel    string
	minArea  int
	dropEdge bool

	pixelSize   float64 // µm; 0 for the file's own
	small, edge int     // instances that were left out
}

func (f *measureFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.pixel, "pixel-size", "", "side of a pixel with its unit, such as 0.5um or 325nm, for lengths in µm (default: what the picture's file says, else lengths are in pixels)")
	cmd.Flags().IntVar(&f.minArea, "min-area", 0, "leave out instances of fewer pixels")
	cmd.Flags().BoolVar(&f.dropEdge, "drop-edge", false, "leave out instances that touch the picture's edge")
}

// units are lengths in micrometres.
var units = []struct {
	name string
	um   float64
}{{"um", 1}, {"µm", 1}, {"μm", 1}, {"micron", 1}, {"nm", 1e-3}, {"mm", 1e3}, {"cm", 1e4}}

func (f *measureFlags) check() error {
	if f.pixel == "" {
		return nil
	}
	for _, u := range units {
		text, ok := strings.CutSuffix(f.pixel, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(v > 0) || v*u.um > 1e9 {
			break
		}
		f.pixelSize = v * u.um
		return nil
	}
	return fmt.Errorf("--pixel-size %s: want a length with its unit (um, nm or mm), such as 0.5um", f.pixel)
}

// keep reports whether an instance stays, by its area and box in a picture, and counts those
// that do not.
func (f *measureFlags) keep(area int, box image.Rectangle, width, height int) bool {
	switch {
	case area < f.minArea:
		f.small++
	case f.dropEdge && (box.Min.X <= 0 || box.Min.Y <= 0 || box.Max.X >= width || box.Max.Y >= height):
		f.edge++
	default:
		return true
	}
	return false
}

// filter leaves out instances of an annotated picture. One with a box only has the box's area.
func (f *measureFlags) filter(p *coco.LabeledImage) {
	p.Instances = slices.DeleteFunc(p.Instances, func(v coco.LabeledInstance) bool {
		x, y, w, h := v.Mask.BBox()
		area := v.Mask.Area()
		if v.BoxOnly {
			x, y, w, h = v.Box[0], v.Box[1], v.Box[2], v.Box[3]
			area = int(w * h)
		}
		return !f.keep(area, image.Rect(int(x), int(y), int(math.Ceil(x+w)), int(math.Ceil(y+h))), p.Width, p.Height)
	})
}

// warn says how many instances were left out.
func (f *measureFlags) warn(warn func(string, ...any)) {
	if f.small > 0 {
		warn("%s of fewer than %d pixels left out (--min-area)", counted(f.small, "instance"), f.minArea)
	}
	if f.edge > 0 {
		warn("%s at the picture's edge left out (--drop-edge)", counted(f.edge, "instance"))
	}
}

// flagValuesOf returns names and values of the flags of a command, seeds among them. --resume is
// left out: a resumed run ends with the files of an uninterrupted one.
func flagValuesOf(cmd *cobra.Command) [][2]string {
	var out [][2]string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if value := f.Value.String(); f.Name != "help" && f.Name != "resume" && value != "" && value != "[]" {
			out = append(out, [2]string{"--" + f.Name, value})
		}
	})
	return out
}
