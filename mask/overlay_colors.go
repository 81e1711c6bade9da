package mask

import (
	"image"
	"image/color"
)

// itemColors returns the opaque colours of items on a picture. apart is true if those that have
// none get colours by which neighbours are told apart, in place of the palette's order.
func itemColors(dst *image.RGBA, items []instance, apart bool) []color.NRGBA {
	out := make([]color.NRGBA, len(items))
	own := make([]int, len(items)) // in the palette
	for i := range own {
		own[i] = i % Colors
	}
	if apart {
		neighboursApart(own, items, dst)
	}
	for i, item := range items {
		if out[i] = Color(own[i]); item.Color != nil {
			out[i] = color.NRGBAModel.Convert(item.Color).(color.NRGBA)
			out[i].A = 0xff
		}
	}
	return out
}

// neighboursApart gives each item the first colour from its own on, round the palette, that no
// earlier item near it has.
func neighboursApart(own []int, items []instance, dst *image.RGBA) {
	palette, n := visibleOn(dst), len(okabeIto)
	bounds := dst.Bounds()
	grid, near := newRectGrid(bounds.Dx(), bounds.Dy()), max(2, typicalSide(items)/4)
	for i := range items {
		r := items[i].extent().Intersect(bounds)
		used := 0
		grid.any(r.Inset(-near).Intersect(bounds), func(_ image.Rectangle, number int) bool {
			used |= 1 << own[number]
			return used == 1<<Colors-1
		})
		for k := range palette {
			own[i] = palette[(i+k)%(2*n)]
			if used&(1<<own[i]) == 0 {
				break
			}
		}
		grid.add(r, i)
	}
}

// visibleOn returns the two thirds of the palette that are not the darkest on a dark picture, or
// not the brightest on a bright one.
func visibleOn(img *image.RGBA) []int {
	const looks = 64 // along each side
	sum, seen, b := 0, 0, img.Bounds()
	for i := range looks {
		for k := range looks {
			at := img.PixOffset(b.Min.X+b.Dx()*i/looks, b.Min.Y+b.Dy()*k/looks)
			if at < len(img.Pix) {
				sum, seen = sum+int(img.Pix[at])+int(img.Pix[at+1])+int(img.Pix[at+2]), seen+3
			}
		}
	}
	n := len(okabeIto)
	second := n // the lighter ones
	if sum > 127*seen {
		second = 2 * n // the darker ones
	}
	var out []int
	for i := range n {
		out = append(out, i)
	}
	for i := range n {
		out = append(out, second+i)
	}
	return out
}
