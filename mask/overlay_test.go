package mask_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

var grey = color.RGBA{100, 100, 100, 255}

// canvas is a grey picture whose bounds do not start at (0, 0).
func canvas(width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(7, -3, 7+width, height-3))
	draw.Draw(m, m.Bounds(), image.NewUniform(grey), image.Point{}, draw.Src)
	return m
}

func TestOverlayFillsAndOutlines(t *testing.T) {
	const width, height = 90, 40
	m := mask.NewBitmap(width, height)
	m.Fill(image.Rect(60, 5, 80, 25))
	red := color.RGBA{200, 0, 0, 255}
	items := []mask.OverlayItem{{Mask: m, Color: red}, {Box: image.Rect(2, 3, 30, 20), Color: color.White}}

	under := canvas(width, height)
	plain, err := mask.Overlay(under, items, mask.OverlayOptions{FillOpacity: .5, LineWidth: 2})
	require.NoError(t, err)
	require.Equal(t, canvas(width, height), under, "the picture stays as it is")
	// The same of a picture that no fast path knows.
	slow, err := mask.Overlay(struct{ image.Image }{under}, items, mask.OverlayOptions{FillOpacity: .5, LineWidth: 2})
	require.NoError(t, err)
	require.Equal(t, plain, slow)

	edge := m.Boundary(2)
	box := image.Rect(2, 3, 30, 20)
	for y := range height {
		for x := range width {
			got := plain.RGBAAt(x, y)
			switch p := image.Pt(x, y); {
			case edge.Get(x, y):
				require.Equal(t, red, got)
			case m.Get(x, y):
				require.InDelta(t, 150, int(got.R), 1)
				require.InDelta(t, 50, int(got.G), 1)
			case p.In(box) && !p.In(box.Inset(2)):
				require.Equal(t, color.RGBA{255, 255, 255, 255}, got)
			default:
				require.Equal(t, grey, got, "%v", p)
			}
		}
	}
}

func TestOverlayNothingToDraw(t *testing.T) {
	m := mask.NewBitmap(50, 50)
	m.Fill(image.Rect(10, 10, 40, 40))
	none := mask.OverlayOptions{FillOpacity: -1, LineWidth: -1, FontSize: -1}
	for name, c := range map[string]struct {
		item mask.OverlayItem
		opt  mask.OverlayOptions
	}{
		"everything off": {mask.OverlayItem{Mask: m, Box: m.Box(), Label: "x"}, none},
		"empty item":     {mask.OverlayItem{}, mask.OverlayOptions{}},
		"empty mask":     {mask.OverlayItem{Mask: mask.NewBitmap(50, 50), Label: "x"}, mask.OverlayOptions{}},
		"box outside":    {mask.OverlayItem{Box: image.Rect(100, 100, 120, 120), Label: "x"}, mask.OverlayOptions{}},
		"blank label":    {mask.OverlayItem{Mask: m, Label: "\n\t "}, mask.OverlayOptions{FillOpacity: -1, LineWidth: -1}},
	} {
		got, err := mask.Overlay(canvas(50, 50), []mask.OverlayItem{c.item}, c.opt)
		require.NoError(t, err, name)
		require.Equal(t, canvas(50, 50).Pix, got.Pix, name)
	}
	_, err := mask.Overlay(image.NewRGBA(image.Rectangle{}), nil, mask.OverlayOptions{})
	require.NoError(t, err)
}

func TestOverlayKeepsSmallMasksVisible(t *testing.T) {
	small, large := mask.NewBitmap(60, 60), mask.NewBitmap(60, 60)
	small.Fill(image.Rect(20, 20, 30, 30))
	large.Fill(image.Rect(0, 0, 60, 60))
	got, err := mask.Overlay(canvas(60, 60), []mask.OverlayItem{{Mask: small}, {Mask: large}}, mask.OverlayOptions{FillOpacity: 1})
	require.NoError(t, err)
	want := mask.Color(0)
	require.Equal(t, color.RGBA(want), got.RGBAAt(25, 25))
}

func TestOverlayLabels(t *testing.T) {
	const width, height = 300, 200
	label := func(box image.Rectangle, text string) (*image.RGBA, image.Rectangle) {
		opt := mask.OverlayOptions{LineWidth: -1, FontSize: 14}
		m, err := mask.Overlay(canvas(width, height), []mask.OverlayItem{{Box: box, Label: text, Color: color.NRGBA{0, 0, 200, 255}}}, opt)
		require.NoError(t, err)
		var touched image.Rectangle
		for y := m.Rect.Min.Y; y < m.Rect.Max.Y; y++ {
			for x := m.Rect.Min.X; x < m.Rect.Max.X; x++ {
				if m.RGBAAt(x, y) != grey {
					touched = touched.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		return m, touched.Sub(m.Rect.Min)
	}
	for _, box := range []image.Rectangle{
		image.Rect(100, 100, 200, 150), image.Rect(0, 0, 100, 100), image.Rect(280, 180, 300, 200),
		image.Rect(0, 0, width, height), image.Rect(-50, -50, 60, 60), image.Rect(290, 0, 299, 9),
	} {
		m, short := label(box, "Ж person 0.98")
		require.False(t, short.Empty(), "%v", box)
		_, long := label(box, strings.Repeat("much too long ", 50))
		require.False(t, long.Empty(), "%v", box)
		require.LessOrEqual(t, long.Dx(), max(box.Dx(), width/2, 12*14))
		require.Greater(t, long.Dx(), short.Dx())
		// White ink on a dark plate, and nothing of it at the plate's rim.
		brightest := 0
		for y := short.Min.Y; y < short.Max.Y; y++ {
			for x := short.Min.X; x < short.Max.X; x++ {
				c := m.RGBAAt(x, y)
				brightest = max(brightest, int(c.R))
				if x == short.Min.X || x == short.Max.X-1 || y == short.Min.Y || y == short.Max.Y-1 {
					require.Equal(t, color.RGBA{0, 0, 200, 255}, c)
				}
			}
		}
		require.Greater(t, brightest, 200)
	}
}

func TestOverlayCrowd(t *testing.T) {
	// Hundreds of labels for small things: some find room, and none of the things
	// is hidden by them.
	const side = 18
	var items []mask.OverlayItem
	for i := range 300 {
		at := image.Pt(i*37%620, i*91%460)
		items = append(items, mask.OverlayItem{
			Box:   image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))},
			Label: fmt.Sprintf("nucleus %d", i),
		})
	}
	got, err := mask.Overlay(canvas(640, 480), items, mask.OverlayOptions{LineWidth: -1, FontSize: 12})
	require.NoError(t, err)
	touched := func(r image.Rectangle) int {
		n := 0
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				if got.RGBAAt(x, y) != grey {
					n++
				}
			}
		}
		return n
	}
	require.Greater(t, touched(image.Rect(0, 0, 640, 480)), 20*side*side)
	for i, item := range items {
		// Plates of several neighbours may each take a part below a third.
		require.Less(t, touched(item.Box), side*side*3/4, "item %d", i)
	}
}

func TestOverlaySize(t *testing.T) {
	m := mask.NewBitmap(50, 51)
	_, err := mask.Overlay(canvas(50, 50), []mask.OverlayItem{{Box: image.Rect(0, 0, 9, 9)}, {Mask: m}}, mask.OverlayOptions{})
	var size *mask.SizeError
	require.ErrorAs(t, err, &size)
	require.Equal(t, 1, size.Index)
}

// The palette must stay apart for people without red or green cones. Their
// vision is simulated after Machado, Oliveira and Fernandes (2009) at full
// severity, distances are CIE 1976 ΔE; about 2.3 is just noticeable.
func TestColorsForEveryVision(t *testing.T) {
	visions := map[string][3][3]float64{
		"normal": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanopia": {
			{.152286, 1.052583, -.204868}, {.114503, .786281, .099216}, {-.003882, -.048116, 1.051998}},
		"deuteranopia": {
			{.367322, .860646, -.227968}, {.280085, .672501, .047413}, {-.011820, .042940, .968881}},
	}
	for name, vision := range visions {
		nearest := func(n int) float64 {
			best := math.Inf(1)
			for i := range n {
				for j := range i {
					best = min(best, deltaE(vision, mask.Color(i), mask.Color(j)))
				}
			}
			return best
		}
		t.Logf("%s: least ΔE %.1f among 7 colours, %.1f among 21", name, nearest(7), nearest(21))
		require.Greater(t, nearest(7), 15., name)
		require.Greater(t, nearest(21), 7., name)
		for i := range 21 {
			require.Greater(t, deltaE(vision, mask.Color(i), mask.Color(i+1)), 25., "%s: neighbours %d", name, i)
		}
	}
	require.Equal(t, mask.Color(20), mask.Color(-1))
	require.Equal(t, mask.Color(1), mask.Color(22))
}

func deltaE(vision [3][3]float64, a, b color.NRGBA) float64 {
	lab := func(c color.NRGBA) [3]float64 {
		var rgb, seen [3]float64
		for i, v := range []uint8{c.R, c.G, c.B} {
			if rgb[i] = float64(v) / 255 / 12.92; v > 10 {
				rgb[i] = math.Pow((float64(v)/255+.055)/1.055, 2.4)
			}
		}
		for i, row := range vision {
			seen[i] = min(max(row[0]*rgb[0]+row[1]*rgb[1]+row[2]*rgb[2], 0), 1)
		}
		f := func(r, g, b, white float64) float64 {
			v := (r*seen[0] + g*seen[1] + b*seen[2]) / white
			if v > 216./24389 {
				return math.Cbrt(v)
			}
			return (24389./27*v + 16) / 116
		}
		x := f(.4124564, .3575761, .1804375, .95047)
		y := f(.2126729, .7151522, .0721750, 1)
		z := f(.0193339, .1191920, .9503041, 1.08883)
		return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
	}
	p, q := lab(a), lab(b)
	return math.Sqrt((p[0]-q[0])*(p[0]-q[0]) + (p[1]-q[1])*(p[1]-q[1]) + (p[2]-q[2])*(p[2]-q[2]))
}
