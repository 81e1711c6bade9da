package diffusioninst

import (
	"fmt"
	"image"
	"image/draw"

	"github.com/diffusioninst/go/mask"
)

// Overlay draws the instances on a copy of the picture they were found in: masks
// filled and outlined, with class and score. The worst score is drawn first.
func (r *Result) Overlay(img image.Image) (*image.RGBA, error) {
	out := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(out, out.Bounds(), img, img.Bounds().Min, draw.Src)
	items := make([]mask.OverlayItem, len(r.Instances))
	for i, in := range r.Instances {
		items[i] = mask.OverlayItem{
			Mask: in.Mask, Label: fmt.Sprintf("%s %.2f", in.Name, in.Score),
			Box: image.Rect(int(in.Box.X1), int(in.Box.Y1), int(in.Box.X2+0.5), int(in.Box.Y2+0.5)),
		}
	}
	return out, mask.Overlay(out, items, mask.OverlayOptions{})
}
