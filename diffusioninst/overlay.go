package diffusioninst

import (
	"fmt"

	"github.com/diffusioninst/go/mask"
)

// OverlayItems returns the instances for [mask.Overlay], which draws them on the picture
// that they were found in: masks, boxes, and names with scores in percent.
func (r *Result) OverlayItems() []mask.OverlayItem {
	items := make([]mask.OverlayItem, len(r.Instances))
	for i, in := range r.Instances {
		items[i] = mask.OverlayItem{
			Mask: in.Mask, Class: in.Name, Label: fmt.Sprintf("%s %.0f%%", in.Name, 100*in.Score),
			Box: in.Box.Outer(),
		}
	}
	return items
}
