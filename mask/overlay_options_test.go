package mask_test

import (
	"fmt"
	"image"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

// squares are n instances of the given classes in turn, of 30×30 pixels.
func squares(n int, classes ...string) []mask.OverlayItem {
	var items []mask.OverlayItem
	for i := range n {
		m := mask.NewBitmap(800, 800)
		r := image.Rect(i%20*40, i/20*40, i%20*40+30, i/20*40+30)
		m.Fill(r)
		items = append(items, mask.OverlayItem{Mask: m, Box: r.Inset(-3), Label: fmt.Sprint(i), Class: classes[i%len(classes)], Color: color.NRGBA{200, 0, 0, 255}})
	}
	return items
}

// With many instances, or one class, pixels inside the contours stay as they are.
func TestOverlayDrawsContoursOnly(t *testing.T) {
	inside, contour, box := image.Pt(15, 15), image.Pt(0, 15), image.Pt(32, 15)
	draw := func(items []mask.OverlayItem, o mask.OverlayOptions) (drawn [3]bool) {
		t.Helper()
		got, err := mask.Overlay(canvas(800, 800), items, o)
		require.NoError(t, err)
		for i, p := range []image.Point{inside, contour, box} {
			drawn[i] = got.RGBAAt(p.X, p.Y) != color.RGBAModel.Convert(grey)
		}
		return drawn
	}
	all, lines := [3]bool{true, true, true}, [3]bool{false, true, false}
	require.Equal(t, all, draw(squares(20, "a", "b"), mask.OverlayOptions{}))
	require.Equal(t, all, draw(squares(2, ""), mask.OverlayOptions{}), "without classes nothing is known of them")
	require.Equal(t, lines, draw(squares(21, "a", "b"), mask.OverlayOptions{}))
	require.Equal(t, lines, draw(squares(2, "a"), mask.OverlayOptions{}))
	require.Equal(t, [3]bool{true, true, false}, draw(squares(2, "a"), mask.OverlayOptions{FillOpacity: .5}))
	require.Equal(t, [3]bool{false, true, true}, draw(squares(2, "a"), mask.OverlayOptions{Boxes: 1}))
	require.Equal(t, [3]bool{true, true, false}, draw(squares(2, "a", "b"), mask.OverlayOptions{Boxes: -1, Labels: -1}))

	// Boxes are all there is of items without pixels.
	only := squares(25, "a")
	only[0].Mask = mask.NewBitmap(800, 800)
	require.Equal(t, [3]bool{false, false, true}, draw(only, mask.OverlayOptions{}))
	require.Equal(t, [3]bool{}, draw(only, mask.OverlayOptions{Boxes: -1}))

	pixels := func(o mask.OverlayOptions) int {
		got, err := mask.Overlay(canvas(800, 800), squares(40, "a"), o)
		require.NoError(t, err)
		n, plain := 0, canvas(800, 800)
		for i := range got.Pix {
			if got.Pix[i] != plain.Pix[i] {
				n++
			}
		}
		return n
	}
	none, one, many := pixels(mask.OverlayOptions{}), pixels(mask.OverlayOptions{Labels: 1}), pixels(mask.OverlayOptions{Labels: 40})
	require.Greater(t, one, none)
	require.Greater(t, many, one)
	require.Equal(t, none, pixels(mask.OverlayOptions{Labels: -1}))
	require.Greater(t, pixels(mask.OverlayOptions{LineWidth: 3}), none, "lines of small instances are thin")
}

// Contours of neighbours differ in colour, and none is nearly that of the picture.
func TestOverlayTellsNeighboursApart(t *testing.T) {
	const side, n = 12, 30
	var items []mask.OverlayItem
	for y := range n {
		for x := range n {
			m := mask.NewBitmap(side*n, side*n)
			m.Fill(image.Rect(x*side, y*side, (x+1)*side, (y+1)*side))
			items = append(items, mask.OverlayItem{Mask: m})
		}
	}
	for _, level := range []uint8{0, 255} {
		img := image.NewUniform(color.Gray{level})
		got, err := mask.Overlay(&picture{img, image.Rect(0, 0, side*n, side*n)}, items, mask.OverlayOptions{})
		require.NoError(t, err)
		at := func(x, y int) color.RGBA { return got.RGBAAt(x*side, y*side) }
		for y := range n {
			for x := range n {
				c := at(x, y)
				require.NotEqual(t, color.RGBA{level, level, level, 255}, c)
				if x > 0 {
					require.NotEqual(t, at(x-1, y), c)
				}
				if y > 0 {
					require.NotEqual(t, at(x, y-1), c)
				}
				if level == 0 {
					require.Greater(t, max(c.R, c.G, c.B), uint8(150))
				} else {
					require.Less(t, min(c.R, c.G, c.B), uint8(130))
				}
			}
		}
	}
	items[40].Color = color.NRGBA{1, 2, 3, 255}
	got, err := mask.Overlay(canvas(side*n, side*n), items, mask.OverlayOptions{})
	require.NoError(t, err)
	require.Equal(t, color.RGBA{1, 2, 3, 255}, got.RGBAAt(40%n*side, 40/n*side), "a colour that is given stays")
}

// A picture is an endless one within bounds.
type picture struct {
	image.Image
	bounds image.Rectangle
}

func (p *picture) Bounds() image.Rectangle { return p.bounds }
