package mask

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"

	"github.com/diffusioninst/go/internal/imagecheck"
)

// An OverlayItem is one instance to draw.
type OverlayItem struct {
	// Mask is filled and outlined. It must have the picture's size; nil draws none.
	Mask *Bitmap
	// Box is outlined unless it is empty.
	Box image.Rectangle
	// Label is written at the box, or without a box at the mask's. Empty writes
	// none. The font has Latin, Greek and Cyrillic letters.
	Label string
	// Class is the kind of instance; see [OverlayOptions].
	Class string
	// Color is the colour of fill, lines and plate; nil is [Color] of the item's index, or with
	// contours only a colour of the palette that items near it do not have and that is not as
	// dark, or as bright, as the picture.
	Color color.Color
}

// OverlayOptions are the settings of Overlay. The zero value suits any picture: with more
// than 20 instances, or several that all have the same Class, it draws contours only, so that the
// picture stays to be seen.
type OverlayOptions struct {
	// FillOpacity is the opacity of the filled masks, up to 1. 0 is 0.4, or none with contours
	// only; negative fills none.
	FillOpacity float64
	// LineWidth is the width in pixels of contours, drawn inside the masks, and of
	// boxes. 0 is 1/400 of the picture's shorter side, and with contours only at most 1/16 of
	// the side of a typical instance, at least 1; negative draws neither.
	LineWidth int
	// Labels is how many items are labelled at most, the first ones. 0 is all, or none
	// with contours only; negative is none.
	Labels int
	// Boxes is how many boxes are drawn at most, the first items' boxes. 0 is all, or with
	// contours only the boxes of items without a mask; negative is none.
	Boxes int
	// FontSize is the height of the labels in pixels, at most 1000. 0 is 1/45 of the picture's
	// mean side, from 11 to 48, and with contours only at most 1/4 of the side of a typical
	// instance; negative writes none.
	FontSize float64
}

// Overlay returns a copy of img with instances drawn on it. Its bounds start at (0, 0),
// as the pixels of masks and boxes do, wherever img's bounds start.
//
// Larger masks are drawn first so that they hide no smaller ones. Labels stand
// on a plate of the instance's colour, inside the picture, clear of each other
// and hiding no more than a third of any instance's box: earlier items choose
// first, a label wider than half the picture and its box is shortened, and one
// that finds no place is left out. A mask that has not the size of img is a *[SizeError],
// and a picture whose pixels cannot be read is an *[ImageError].
func Overlay(img image.Image, items []OverlayItem, opt OverlayOptions) (*image.RGBA, error) {
	width, height, err := imagecheck.Check(img)
	if err == nil && height > 0 && width > maxOverlay/height {
		err = fmt.Errorf("more than %d pixels", maxOverlay)
	}
	if err != nil {
		return nil, &ImageError{width, height, err}
	}
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	if err := imagecheck.Guard(func() { draw.Draw(dst, dst.Rect, img, img.Bounds().Min, draw.Src) }); err != nil {
		return nil, &ImageError{width, height, err}
	}
	return dst, overlay(dst, items, opt)
}

// maxOverlay bounds the pixels of a picture to draw on: 8 GiB.
const maxOverlay = 1 << 31

// ImageError says that the pixels of a picture cannot be read.
type ImageError struct {
	Width, Height int // 0 if unknown
	Err           error
}

func (e *ImageError) Error() string {
	return fmt.Sprintf("mask: picture of %d×%d pixels: %v", e.Width, e.Height, e.Err)
}

// Unwrap returns the cause.
func (e *ImageError) Unwrap() error { return e.Err }

// overlay draws instances on dst.
func overlay(dst *image.RGBA, items []OverlayItem, opt OverlayOptions) error {
	bounds := dst.Bounds()
	for i, item := range items {
		if item.Mask == nil {
			continue
		}
		if err := sameSize(bounds.Dx(), bounds.Dy(), item.Mask); err != nil {
			err.(*SizeError).Index = i
			return err
		}
		if err := item.Mask.Validate(); err != nil {
			return fmt.Errorf("mask: item %d: %w", i, err)
		}
	}
	instances := measured(items)
	width, height := float64(bounds.Dx()), float64(bounds.Dy())
	contours := opt.resolve(instances, width, height)
	if !(opt.FontSize <= maxFontSize) {
		return fmt.Errorf("mask: overlay labels of %v pixels: want at most %d", opt.FontSize, maxFontSize)
	}
	if opt.FontSize == 0 {
		opt.FontSize = min(max(math.Round(math.Sqrt(width*height)/45), 11), 48)
		if contours {
			opt.FontSize = min(opt.FontSize, max(11, float64(typicalSide(instances)/4)))
		}
	}

	colors := itemColors(dst, instances, contours)
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(instances[b].size(), instances[a].size()) })
	for _, i := range order {
		one := instances[i]
		if i >= opt.Boxes && !(opt.Boxes == onlyBoxes && one.area == 0) {
			one.Box = image.Rectangle{}
		}
		drawInstance(dst, one, colors[i], opt)
	}
	if opt.FontSize > 0 && opt.Labels > 0 {
		return drawLabels(dst, instances, colors, opt)
	}
	return nil
}

// maxFontSize bounds the memory of a letter.
const maxFontSize = 1000

// drawInstance draws everything of an item but its label.
func drawInstance(dst *image.RGBA, item instance, c color.NRGBA, opt OverlayOptions) {
	if item.area > 0 {
		m := item.Mask.only(item.box)
		if opt.FillOpacity > 0 {
			fill := c
			fill.A = uint8(math.Round(255 * min(opt.FillOpacity, 1)))
			paint(dst, m, fill)
		}
		if opt.LineWidth > 0 {
			paint(dst, m.Boundary(opt.LineWidth), c)
		}
	}
	if opt.LineWidth > 0 && !item.Box.Empty() {
		r := item.Box
		inner := r.Inset(opt.LineWidth)
		if inner.Empty() {
			inner = image.Rectangle{Min: r.Max, Max: r.Max}
		}
		for _, side := range []image.Rectangle{
			image.Rect(r.Min.X, r.Min.Y, r.Max.X, inner.Min.Y),
			image.Rect(r.Min.X, inner.Max.Y, r.Max.X, r.Max.Y),
			image.Rect(r.Min.X, inner.Min.Y, inner.Min.X, inner.Max.Y),
			image.Rect(inner.Max.X, inner.Min.Y, r.Max.X, inner.Max.Y),
		} {
			draw.Draw(dst, side, image.NewUniform(c), image.Point{}, draw.Src)
		}
	}
}

// paint lays colour c over the set pixels of m.
func paint(dst *image.RGBA, m *Bitmap, c color.NRGBA) {
	src := image.NewUniform(c)
	for r := range m.Runs() {
		draw.Draw(dst, image.Rect(r.X0, r.Y, r.X1, r.Y+1), src, image.Point{}, draw.Over)
	}
}
