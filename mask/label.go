package mask

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

var labelFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(gomedium.TTF) })

// drawLabels writes the labels of items, the first ones choosing their places
// first.
func drawLabels(dst *image.RGBA, items []instance, colors []color.NRGBA, opt OverlayOptions) error {
	parsed, err := labelFont()
	if err != nil {
		return fmt.Errorf("mask: font of the labels: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: opt.FontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return fmt.Errorf("mask: font of the labels: %w", err)
	}
	defer face.Close()

	metrics := face.Metrics()
	padding := max(1, int(math.Round(opt.FontSize/5)))
	height := (metrics.Ascent + metrics.Descent).Ceil() + padding
	bounds := dst.Bounds()
	room := newRoom(bounds)
	anchors := make([]image.Rectangle, len(items))
	for i, item := range items {
		anchors[i] = item.extent().Intersect(bounds)
		// No plate hides a third of a box that is larger than three of the widest.
		if box := anchors[i]; box.Dx()*box.Dy() < 3*bounds.Dx()*height {
			room.boxes.add(box, i)
		}
	}
	for i, item := range items[:min(len(items), opt.Labels)] {
		anchor := anchors[i]
		width := min(max(bounds.Dx()/2, anchor.Dx(), int(12*opt.FontSize)), bounds.Dx())
		text := shorten(face, clean(item.Label), width-2*padding)
		if text == "" || anchor.Empty() {
			continue
		}
		plate, ok := room.take(anchor, image.Pt(font.MeasureString(face, text).Ceil()+2*padding, height))
		if !ok {
			continue
		}
		c := colors[i]
		draw.Draw(dst, plate, image.NewUniform(c), image.Point{}, draw.Src)
		d := font.Drawer{Dst: dst, Src: image.NewUniform(inkOn(c)), Face: face}
		d.Dot = fixed.P(plate.Min.X+padding, plate.Min.Y+padding/2)
		d.Dot.Y += metrics.Ascent
		d.DrawString(text)
	}
	return nil
}

// room is where labels may stand.
type room struct {
	bounds image.Rectangle
	boxes  *rectGrid // of the instances
	taken  *rectGrid // by plates
}

func newRoom(bounds image.Rectangle) *room {
	return &room{bounds, newRectGrid(bounds.Dx(), bounds.Dy()), newRectGrid(bounds.Dx(), bounds.Dy())}
}

// take finds a free place for a plate at an anchor and takes it: above the
// anchor's left edge, below it, in its upper left corner, above or below its
// right edge, at its middle.
func (r *room) take(anchor image.Rectangle, size image.Point) (image.Rectangle, bool) {
	for _, at := range []image.Point{
		{anchor.Min.X, anchor.Min.Y - size.Y},
		{anchor.Min.X, anchor.Max.Y},
		anchor.Min,
		{anchor.Max.X - size.X, anchor.Min.Y - size.Y},
		{anchor.Max.X - size.X, anchor.Max.Y},
		anchor.Min.Add(anchor.Max).Sub(size).Div(2),
	} {
		at.X = max(min(at.X, r.bounds.Max.X-size.X), r.bounds.Min.X)
		if plate := (image.Rectangle{Min: at, Max: at.Add(size)}); r.free(plate) {
			r.taken.add(plate, 0)
			return plate, true
		}
	}
	return image.Rectangle{}, false
}

// free reports whether a plate lies inside the picture, touches no other, and
// hides no more than a third of any instance's box.
func (r *room) free(plate image.Rectangle) bool {
	if !plate.In(r.bounds) || r.taken.any(plate, func(other image.Rectangle, _ int) bool { return plate.Overlaps(other) }) {
		return false
	}
	return !r.boxes.any(plate, func(box image.Rectangle, _ int) bool {
		hidden := box.Intersect(plate)
		return 3*hidden.Dx()*hidden.Dy() > box.Dx()*box.Dy()
	})
}

// clean puts spaces in the place of what has no width or would break the line.
func clean(label string) string {
	label = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, label)
	return strings.TrimSpace(label)
}

// shorten cuts text to the given width, an ellipsis marking the cut; to nothing
// if not even that fits.
func shorten(face font.Face, text string, width int) string {
	if font.MeasureString(face, text).Ceil() <= width {
		return text
	}
	letters := []rune(text)
	low, high := 0, len(letters) // the most letters that fit beside the ellipsis
	for low < high {
		n := (low + high + 1) / 2
		if font.MeasureString(face, string(letters[:n])+"…").Ceil() <= width {
			low = n
		} else {
			high = n - 1
		}
	}
	if low == 0 {
		return ""
	}
	return strings.TrimSpace(string(letters[:low])) + "…"
}

// inkOn is black or white, whichever contrasts more with c by the relative
// luminance of WCAG 2.
func inkOn(c color.NRGBA) color.Gray {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= .04045 {
			return s / 12.92
		}
		return math.Pow((s+.055)/1.055, 2.4)
	}
	luminance := .2126*linear(c.R) + .7152*linear(c.G) + .0722*linear(c.B)
	if (luminance+.05)/.05 >= 1.05/(luminance+.05) {
		return color.Gray{}
	}
	return color.Gray{Y: 0xff}
}
