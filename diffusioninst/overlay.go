package diffusioninst

import (
	"fmt"
	"image"
	"math"

	"github.com/diffusioninst/go/mask"
)

// OverlayItems returns the instances for [mask.Overlay], which draws them on the picture
// that they were found in: masks, boxes, and names with scores in percent.
func (r *Result) OverlayItems() []mask.OverlayItem {
	items := make([]mask.OverlayItem, len(r.Instances))
	for i, in := range r.Instances {
		b := in.Box
		items[i] = mask.OverlayItem{
			Mask: in.Mask, Label: fmt.Sprintf("%s %.0f%%", in.Name, 100*in.Score),
			Box: image.Rect(int(b.X1), int(b.Y1), int(math.Ceil(float64(b.X2))), int(math.Ceil(float64(b.Y2)))),
		}
	}
	return items
}
