package picture

import (
	"fmt"
	"image"
	"image/color"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/internal/imagecheck"
)

// Normalize says how samples become the 8 bits of a network's input:
//
//   - "auto", or empty: pictures of more than 8 bits per sample are stretched, so that all but
//     the darkest and the brightest 0.1 % of their samples span black to white, and up to 5 %
//     that share the greatest or least value, far from all others. Others stay as they are. A colour picture of any depth in which only one of red, green and blue is
//     ever above 0, as microscopes export a single stain, is read as grey.
//   - "none": of samples of 16 bits the high byte is taken, and all others are
//     clipped to 0 to 255.
//   - "LO,HI", two percentiles such as "1,99.8": pictures of any depth are stretched so that
//     these span black to white.
//   - "LO,HI", two values of samples such as "100,1000": the same with values. Two numbers
//     between 0 and 100 are percentiles unless one ends in v, as in "0v,1v".
//
// Stretching is linear, over the whole picture, and the same for red, green and blue.
type Normalize string

// Names of [Normalize] besides "LO,HI".
const (
	Auto Normalize = "auto"
	None Normalize = "none"
)

// autoLow and autoHigh are the percentiles of Auto.
const autoLow, autoHigh = 0.1, 99.9

// stretch is a Normalize in numbers.
type stretch struct {
	none, deepOnly, values bool
	low, high              float64
}

func (n Normalize) parse() (stretch, error) {
	switch n {
	case "", Auto:
		return stretch{deepOnly: true, low: autoLow, high: autoHigh}, nil
	case None:
		return stretch{none: true}, nil
	}
	bad := func(why string) (stretch, error) {
		return stretch{}, fmt.Errorf("picture: normalization %q: %s; want auto, none, two percentiles such as 1,99.8, or two values such as 100,1000 or 0v,1v", string(n), why)
	}
	first, second, ok := strings.Cut(string(n), ",")
	if !ok {
		return bad("unknown")
	}
	var s stretch
	var err error
	for _, part := range []struct {
		text string
		to   *float64
	}{{first, &s.low}, {second, &s.high}} {
		text, isValue := strings.CutSuffix(strings.TrimSpace(part.text), "v")
		if *part.to, err = strconv.ParseFloat(text, 64); err != nil || *part.to-*part.to != 0 {
			return bad(fmt.Sprintf("%q is not a number", part.text))
		}
		s.values = s.values || isValue || *part.to < 0 || *part.to > 100
	}
	if s.low >= s.high {
		return bad("the first number must be less than the second")
	}
	return s, nil
}

// Check returns an error unless n has one of the forms of a Normalize.
func (n Normalize) Check() error {
	_, err := n.parse()
	return err
}

// Apply returns img as n says. A picture that needs no stretching is returned itself, without
// what a [Picture] says about it; one that does becomes an *image.RGBA. The warning, if any,
// says that a picture that is not stretched has its samples in less than an eighth of their
// range, or that a few very bright samples decide how Auto stretches, and what would help.
// A picture that cannot be read, such as a nil pointer or one with too few bytes, is an error.
func (n Normalize) Apply(img image.Image) (out image.Image, warning string, err error) {
	_, _, broken := imagecheck.Check(pixelsOf(img))
	if broken == nil {
		broken = imagecheck.Guard(func() { out, _, warning, err = n.apply(img) })
	}
	if broken != nil {
		return nil, "", fmt.Errorf("picture: %w", broken)
	}
	return out, warning, err
}

// apply is Apply. The note says what of colours is seen as grey.
func (n Normalize) apply(img image.Image) (out image.Image, note, warning string, err error) {
	if s, ok := pixelsOf(img).(*Source); ok { // its rows are read while it is looked at
		own := *s
		own.failed = new(error)
		defer func() {
			if err == nil && *own.failed != nil {
				out, err = nil, *own.failed
			}
		}()
		img = &own
	}
	s, err := n.parse()
	if err != nil {
		return nil, "", "", err
	}
	img = pixelsOf(img)
	if img.Bounds().Empty() {
		return img, "", "", nil
	}
	if !s.none {
		if used := singleColour(img); used >= 0 {
			img = changedBy(img, func(m image.Image) image.Image { return imageOf(selectChannels(rasterOf(m), []int{used})) })
			note = fmt.Sprintf("only %s is ever above 0, so it is seen as grey (Options.Normalize none keeps the colour)", colourNames[used])
		}
	}
	deep := isDeep(img)
	if s.none || s.deepOnly && !deep {
		if floatSamples(img) > 0 {
			return changedBy(img, func(m image.Image) image.Image { return stretched(m, 0, 255) }), note, dim(img), nil
		}
		return img, note, dim(img), nil
	}
	low, high := s.low, s.high
	switch {
	case s.deepOnly:
		low, high, warning = autoRange(levelsOf(img, 1))
	case !s.values:
		low, high = span(levelsOf(img, 1), s.low, s.high)
	}
	if low >= high { // a picture of one value
		high = low + 1
	}
	return changedBy(img, func(m image.Image) image.Image { return stretched(m, low, high) }), note, warning, nil
}

// singleColour returns the only one of red, green and blue that is ever above 0, or -1 if there
// are several or the picture is grey.
func singleColour(img image.Image) int {
	used := -1
	several := false
	use := func(i int) bool {
		several = several || used >= 0 && used != i%3
		used = i % 3
		return !several
	}
	if n := floatSamples(img); n > 0 {
		several = n == 1
		eachFloats(img, func(pix []float64) bool {
			for i, v := range pix {
				if several || v != 0 && !use(i) {
					return false
				}
			}
			return true
		})
	} else {
		eachSample(img, 1, func(row []uint16) bool {
			several = several || len(row) == img.Bounds().Dx()
			for i, v := range row {
				if several || v != 0 && !use(i) {
					return false
				}
			}
			return true
		})
	}
	if several {
		return -1
	}
	return used
}

// floatSamples returns the number of samples per pixel of a picture of floating-point numbers, and
// 0 for others.
func floatSamples(img image.Image) int {
	if s, ok := img.(*Source); ok {
		img = s.like
	}
	if f, ok := img.(*Float); ok {
		return f.Samples
	}
	return 0
}

// eachFloats calls f with the samples of a picture of floating-point numbers, in pieces of whole
// rows, until it returns false.
func eachFloats(img image.Image, f func(pix []float64) bool) {
	switch m := img.(type) {
	case *Float:
		f(m.Pix)
	case *Source:
		m.bands(1, func(band image.Image) bool { return f(band.(*Float).Pix) })
	}
}

// isDeep reports whether samples have more than 8 bits.
func isDeep(img image.Image) bool {
	switch img.(type) {
	case *Float, *image.Gray16, *image.RGBA64, *image.NRGBA64:
		return true
	}
	switch img.ColorModel() {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		return true
	}
	return false
}

// eachSample calls f with the samples of every step-th row until it returns false: of 16 bits
// if img is deep, and of 8 bits otherwise.
func eachSample(img image.Image, step int, f func(row []uint16) bool) {
	if s, ok := img.(*Source); ok {
		s.bands(step, func(band image.Image) bool {
			more := true
			eachSample(band, step, func(row []uint16) bool { more = f(row); return more })
			return more
		})
		return
	}
	b := img.Bounds()
	if !isDeep(img) {
		rows, rgb, row := rowsOf(img, false), make([]uint8, 3*b.Dx()), make([]uint16, 3*b.Dx())
		for y := b.Min.Y; y < b.Max.Y; y += step {
			rows(y, rgb)
			for i, v := range rgb {
				row[i] = uint16(v)
			}
			if !f(row) {
				return
			}
		}
		return
	}
	rows, n := deepRows(img)
	row := make([]uint16, n*b.Dx())
	for y := b.Min.Y; y < b.Max.Y; y += step {
		rows(y, row)
		if !f(row) {
			return
		}
	}
}

// deepRows returns what reads a row of a picture of 16 bits without alpha, and the number
// of samples per pixel, 1 or 3.
func deepRows(img image.Image) (func(y int, row []uint16), int) {
	left := img.Bounds().Min.X
	switch m := img.(type) {
	case *image.Gray16:
		return func(y int, row []uint16) {
			pix := m.Pix[m.PixOffset(left, y):]
			for i := range row {
				row[i] = uint16(pix[2*i])<<8 | uint16(pix[2*i+1])
			}
		}, 1
	case *image.NRGBA64:
		return func(y int, row []uint16) {
			pix := m.Pix[m.PixOffset(left, y):]
			for i := range row {
				at := 8*(i/3) + 2*(i%3)
				row[i] = uint16(pix[at])<<8 | uint16(pix[at+1])
			}
		}, 3
	}
	b := img.Bounds()
	if img.ColorModel() == color.Gray16Model {
		return func(y int, row []uint16) {
			for i := range row {
				row[i] = color.Gray16Model.Convert(img.At(b.Min.X+i, y)).(color.Gray16).Y
			}
		}, 1
	}
	at := func(x, y int) color.RGBA64 { return color.RGBA64Model.Convert(img.At(x, y)).(color.RGBA64) }
	if m, ok := img.(image.RGBA64Image); ok {
		at = m.RGBA64At
	}
	return func(y int, row []uint16) {
		for x := range b.Dx() {
			c, out := at(b.Min.X+x, y), row[3*x:][:3]
			out[0], out[1], out[2] = c.R, c.G, c.B
			if a := uint32(c.A); a > 0 && a < 0xffff {
				for k, v := range out {
					out[k] = uint16(min((uint32(v)*0xffff+a/2)/a, 0xffff))
				}
			}
		}
	}, 3
}

// stretched returns the picture with samples from low to high as black to white.
func stretched(img image.Image, low, high float64) *image.RGBA {
	b := img.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	level := func(v float64) uint8 { return byteOf((v - low) / (high - low) * 255) }
	put := func(i int, r, g, b uint8) {
		p := out.Pix[4*i:][:4]
		p[0], p[1], p[2], p[3] = r, g, b, 255
	}
	if f, ok := img.(*Float); ok {
		for i := range b.Dx() * b.Dy() {
			if f.Samples == 1 {
				v := level(f.Pix[i])
				put(i, v, v, v)
				continue
			}
			put(i, level(f.Pix[3*i]), level(f.Pix[3*i+1]), level(f.Pix[3*i+2]))
		}
		return out
	}
	most := 256
	if isDeep(img) {
		most = 1 << 16
	}
	table := make([]uint8, most)
	for v := range table {
		table[v] = level(float64(v))
	}
	i := 0
	eachSample(img, 1, func(row []uint16) bool {
		step := len(row) / b.Dx()
		for ; len(row) > 0; row = row[step:] {
			put(i, table[row[0]], table[row[step/2]], table[row[step-1]])
			i++
		}
		return true
	})
	return out
}
