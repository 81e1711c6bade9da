package mask

import (
	"image"
	"math/bits"
)

// An instance is an item to draw and what is asked of its mask again and again.
type instance struct {
	OverlayItem
	box  image.Rectangle // the smallest around the mask's pixels
	area int             // of the mask in pixels; 0 if only the item's own box can be seen
}

func measured(items []OverlayItem) []instance {
	out := make([]instance, len(items))
	for i, item := range items {
		out[i].OverlayItem = item
		if m := item.Mask; m != nil {
			out[i].box = m.Box()
			join(m, m, out[i].box, func(words, _ []uint64) {
				for _, w := range words {
					out[i].area += bits.OnesCount64(w)
				}
			})
		}
	}
	return out
}

// extent is the item's box, or its mask's.
func (i *instance) extent() image.Rectangle {
	if i.Box.Empty() {
		return i.box
	}
	return i.Box
}

// size is the number of pixels by which larger instances are drawn first.
func (i *instance) size() int {
	if i.Mask != nil {
		return i.area
	}
	return i.Box.Dx() * i.Box.Dy()
}
