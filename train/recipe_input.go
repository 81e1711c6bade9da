package train

import (
	"strings"

	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/train/data"
)

// augmentation is what happens to pictures, in the reference's order: but squares of one
// size are cut out first and then turned, which is the same and faster.
func augmentation(in detectron2.Input) data.Augmentation {
	out := orientations(in)
	resize := data.ResizeShortest{Short: in.MinSizeTrain, Between: in.MinSizeSampling == "range", Longest: in.MaxSizeTrain}
	switch {
	case in.LargeScaleJitter.Enabled:
		j := in.LargeScaleJitter
		out = append(out, data.LargeScaleJitter{Factor: data.Range{Min: j.Range[0], Max: j.Range[1]}, Width: j.Size, Height: j.Size})
	case len(in.ScaleRange) == 2:
		scale := data.Scale{Factor: data.Range{Min: in.ScaleRange[0], Max: in.ScaleRange[1]}}
		fixed := in.Crop.Enabled && in.Crop.Type == "absolute"
		if fixed {
			scale.Height, scale.Width = int(in.Crop.Size[0]), int(in.Crop.Size[1])
		}
		if fixed && scale.Width == scale.Height {
			out = append(data.Chain{scale}, out...)
		} else {
			out = append(out, scale)
		}
		if in.Crop.Enabled && !fixed {
			out = append(out, crop(in.Crop))
		}
	case in.Crop.Enabled:
		first := data.Chain{data.ResizeShortest{Short: []int{400, 500, 600}}, crop(in.Crop)}
		out = append(out, data.Sometimes{Probability: 0.5, Then: first}, resize)
	default:
		out = append(out, resize)
	}
	if c := in.ColorJitter; c != (detectron2.ColorJitter{}) {
		out = append(out, data.ColorJitter{Brightness: c.Brightness, Contrast: c.Contrast, Saturation: c.Saturation, Hue: c.Hue})
	}
	return out
}

// orientations are flips and rotations.
func orientations(in detectron2.Input) data.Chain {
	var out data.Chain
	switch in.RandomFlip {
	case "horizontal":
		out = append(out, data.Flip{Horizontal: 0.5})
	case "vertical":
		out = append(out, data.Flip{Vertical: 0.5})
	case "both":
		out = append(out, data.Flip{Horizontal: 0.5, Vertical: 0.5})
	}
	if in.Rotate {
		out = append(out, data.Rotate90{})
	}
	return out
}

// crop is a crop of Detectron2, whose sizes are height and width.
func crop(c detectron2.Crop) data.RandomCrop {
	h, w := c.Size[0], c.Size[1]
	out := data.RandomCrop{Relative: strings.HasPrefix(c.Type, "relative")}
	switch c.Type {
	case "relative_range":
		out.Width, out.Height = data.Range{Min: w, Max: 1}, data.Range{Min: h, Max: 1}
	case "absolute_range":
		// The two sizes are the ends of a range for both sides.
		both := data.Range{Min: min(h, w), Max: max(h, w)}
		out.Width, out.Height = both, both
	default:
		out.Width, out.Height = data.Range{Min: w, Max: w}, data.Range{Min: h, Max: h}
	}
	return out
}
