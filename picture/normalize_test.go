package picture

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func ramp16(w, h int, f func(i int) uint16) *image.Gray16 {
	m := image.NewGray16(image.Rect(0, 0, w, h))
	for i := range w * h {
		m.SetGray16(i%w, i/w, color.Gray16{Y: f(i)})
	}
	return m
}

func TestNormalizeForms(t *testing.T) {
	for _, n := range []Normalize{"", "auto", "none", "1,99.8", "0,100", "100,1000", "0v,1v", "0,1v", "-5,5", " 1 , 99 "} {
		require.NoError(t, n.Check(), n)
	}
	for _, n := range []Normalize{"x", "1", "1,", "99,1", "5,5", "nan,1", "0,inf", "1,2,3"} {
		require.ErrorContains(t, n.Check(), "picture: normalization", n)
	}
	s, err := Normalize("1,99.8").parse()
	require.NoError(t, err)
	require.Equal(t, stretch{low: 1, high: 99.8}, s)
	for _, n := range []Normalize{"100,1000", "0v,1v", "-1,1"} {
		s, err = n.parse()
		require.NoError(t, err)
		require.True(t, s.values, n)
	}
}

// The same field in other ranges of the camera looks the same to a model.
func TestAutoStretchesDeepPictures(t *testing.T) {
	const n = 4096
	want, _, err := Auto.Apply(ramp16(64, 64, func(i int) uint16 { return uint16(i * 16) }))
	require.NoError(t, err)
	require.Equal(t, uint8(0), RGB(want)[0])
	require.Equal(t, uint8(255), RGB(want)[3*n-1])
	for name, f := range map[string]func(i int) uint16{
		"12 bits in 16": func(i int) uint16 { return uint16(i) }, "dim": func(i int) uint16 { return uint16(100 + i/4*1) },
	} {
		got, warning, err := Auto.Apply(ramp16(64, 64, f))
		require.NoError(t, err)
		require.Empty(t, warning)
		most, _ := worst(t, RGB(got), RGB(want))
		require.LessOrEqual(t, most, 1, name)
	}
	floats := make([]float64, n)
	for i := range floats {
		floats[i] = float64(i)/n - 7
	}
	floats[5], floats[6], floats[7] = math.NaN(), math.Inf(1), math.Inf(-1)
	got, _, err := Auto.Apply(NewFloat(floats, 64, 64, 1))
	require.NoError(t, err)
	require.Equal(t, []uint8{0, 0, 0}, RGB(got)[15:18], "what is not a number is black")
	require.Equal(t, []uint8{255, 255, 255}, RGB(got)[18:21])
	copy(RGB(want)[15:24], RGB(got)[15:24])
	require.InDelta(t, float64(RGB(want)[3*2000]), float64(RGB(got)[3*2000]), 1)
}

// Pictures of 8 bits are handed on as they are, whatever their type.
func TestAutoLeavesEightBits(t *testing.T) {
	r := image.Rect(2, 3, 40, 30)
	rgba, grey, ycc := image.NewRGBA(r), image.NewGray(r), image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
	noise(rgba.Pix)
	noise(grey.Pix)
	noise(ycc.Y)
	for _, img := range []image.Image{rgba, grey, ycc, wrapped{grey}} {
		got, _, err := Auto.Apply(img)
		require.NoError(t, err)
		require.Equal(t, img, got)
	}
}

func TestNoneTakesTheHighByte(t *testing.T) {
	m := ramp16(16, 16, func(i int) uint16 { return uint16(i * 257) })
	got, warning, err := None.Apply(m)
	require.NoError(t, err)
	require.Empty(t, warning)
	for i, v := range RGB(got) {
		require.Equal(t, uint8(i/3), v)
	}
	clipped, _, err := None.Apply(NewFloat([]float64{-4, 100.4, 300}, 3, 1, 1))
	require.NoError(t, err)
	require.Equal(t, []uint8{0, 0, 0, 100, 100, 100, 255, 255, 255}, RGB(clipped))
}

func TestPercentilesAndValues(t *testing.T) {
	m := ramp16(100, 10, func(i int) uint16 { return uint16(i) })
	low, high := span(levelsOf(m, 1), 1, 99)
	require.Equal(t, [2]float64{10, 989}, [2]float64{low, high})
	got, _, err := Normalize("100,600").Apply(m)
	require.NoError(t, err)
	rgb := RGB(got)
	require.Equal(t, []uint8{0, 0, 128, 255, 255}, []uint8{rgb[0], rgb[3*100], rgb[3*351], rgb[3*600], rgb[3*999]})
	grey := image.NewGray(image.Rect(0, 0, 10, 10))
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i)
	}
	got, _, err = Normalize("0,100").Apply(grey)
	require.NoError(t, err)
	require.Equal(t, uint8(255), RGB(got)[3*99], "percentiles hold for 8 bits, too")
	flat, _, err := Auto.Apply(ramp16(5, 5, func(int) uint16 { return 77 }))
	require.NoError(t, err)
	require.Equal(t, make([]uint8, 75), RGB(flat))
}

func TestDimPicturesGiveAWarning(t *testing.T) {
	dark := image.NewGray(image.Rect(0, 0, 9, 9))
	dark.Pix[40] = 31
	for _, n := range []Normalize{Auto, None} {
		_, warning, err := n.Apply(dark)
		require.NoError(t, err)
		require.Equal(t, "its samples are 0 to 31 of 0 to 255, less than an eighth: normalization with 1,99.8 (percentiles) stretches them", warning)
	}
	dark.Pix[40] = 32
	_, warning, err := Auto.Apply(dark)
	require.NoError(t, err)
	require.Empty(t, warning)
	_, warning, err = None.Apply(ramp16(8, 8, func(i int) uint16 { return uint16(100 + i) }))
	require.NoError(t, err)
	require.Contains(t, warning, "100 to 163 of 0 to 65535")
	_, warning, err = None.Apply(NewFloat([]float64{0, 0.5, 1}, 3, 1, 1))
	require.NoError(t, err)
	require.Contains(t, warning, "0 to 1 of 0 to 255")
	_, warning, err = Normalize("1,99").Apply(dark)
	require.NoError(t, err)
	require.Empty(t, warning)
	_, warning, err = Auto.Apply(image.NewGray(image.Rect(0, 0, 9, 9)))
	require.NoError(t, err)
	require.Empty(t, warning, "nothing to stretch")
}

// A single stain in one colour is read as grey.
func TestOneColourIsGrey(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for i := range 64 {
		m.Pix[4*i+2], m.Pix[4*i+3] = uint8(3*i), 255
	}
	got, _, err := Auto.Apply(m)
	require.NoError(t, err)
	require.Equal(t, []uint8{30, 30, 30}, RGB(got)[30:33])
	m.Pix[4*63] = 1
	got, _, err = Auto.Apply(m)
	require.NoError(t, err)
	require.Same(t, m, got)
}

func TestFloatAt(t *testing.T) {
	f := NewFloat([]float64{-1, 0, 1, math.NaN()}, 2, 2, 1)
	require.Equal(t, color.RGBA64{0, 0, 0, 65535}, f.At(0, 0))
	require.Equal(t, color.RGBA64{32768, 32768, 32768, 65535}, f.At(1, 0))
	require.Equal(t, color.RGBA64{65535, 65535, 65535, 65535}, f.At(0, 1))
	require.Equal(t, color.RGBA64{0, 0, 0, 65535}, f.At(1, 1))
	require.Equal(t, color.RGBA64{}, f.At(2, 2))
	require.Panics(t, func() { NewFloat(nil, 2, 2, 1) })
	rgb := NewFloat([]float64{0, 1, 2}, 1, 1, 3)
	require.Equal(t, color.RGBA64{0, 32768, 65535, 65535}, rgb.At(0, 0))
}

// A few overexposed, hot or dead pixels do not defeat Auto in silence.
func TestAutoAndDefects(t *testing.T) {
	const n = 10_000
	field := func(share float64, defect func(i int) uint16) *image.Gray16 {
		every := int(1 / share)
		return ramp16(100, 100, func(i int) uint16 {
			if i%every == 7 {
				return defect(i)
			}
			return uint16(10_000 + i*37%1000)
		})
	}
	want, warning, err := Auto.Apply(field(1.0/(2*n), func(int) uint16 { return 0 }))
	require.NoError(t, err)
	require.Empty(t, warning)
	for name, test := range map[string]struct {
		share  float64
		defect func(i int) uint16
		chosen bool // the range of the others was stretched
		words  string
	}{
		"overexposed":      {0.01, func(int) uint16 { return 65535 }, true, "1 % of its samples have the greatest value, 65535, and the others are 1000"},
		"12 bits":          {0.04, func(int) uint16 { return 32767 }, true, "the greatest value, 32767"},
		"dead":             {0.01, func(int) uint16 { return 0 }, true, "1 % of its samples have the least value, 0"},
		"bright and many":  {0.1, func(int) uint16 { return 65535 }, false, "if these matter, stretch them with Options.Normalize LO,HI"},
		"dust":             {0.01, func(i int) uint16 { return uint16(40_000 + i) }, false, "98 % of its samples are 1000"},
		"fewer than 0.1 %": {0.0004, func(int) uint16 { return 65535 }, true, ""},
	} {
		got, warning, err := Auto.Apply(field(test.share, test.defect))
		require.NoError(t, err)
		if test.words == "" {
			require.Empty(t, warning, name)
		}
		require.Contains(t, warning, test.words, name)
		a, b := RGB(got)[3*5020], RGB(want)[3*5020]
		require.Equal(t, test.chosen, max(a, b)-min(a, b) < 3, "%s: %d, %d", name, a, b)
	}
	// What lies between is part of the picture, and so is a picture of two values.
	for name, f := range map[string]func(i int) uint16{
		"clipped": func(i int) uint16 { return uint16(min(i*9, 65535)) }, "mask": func(i int) uint16 { return uint16(i % 50 / 49 * 65535) },
	} {
		_, warning, err := Auto.Apply(ramp16(100, 100, f))
		require.NoError(t, err)
		require.Empty(t, warning, name)
	}
	// Of 8 bits nothing is stretched.
	grey := image.NewGray(image.Rect(0, 0, 100, 100))
	for i := range grey.Pix {
		grey.Pix[i] = uint8(3 + i%9)
		if i%100 == 7 {
			grey.Pix[i] = 255
		}
	}
	_, warning, err = Auto.Apply(grey)
	require.NoError(t, err)
	require.Contains(t, warning, "its samples but 1 % at the greatest value, 255, are 3 to 11 of 0 to 255, less than an eighth")
}

func TestSingleColourIsNoted(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 4, 4))
	for i := range 16 {
		m.Pix[4*i+2], m.Pix[4*i+3] = uint8(16*i), 255
	}
	out, note, _, err := Auto.apply(m)
	require.NoError(t, err)
	require.Contains(t, note, "only blue is ever above 0")
	require.Equal(t, []uint8{48, 48, 48}, RGB(out)[9:12])
	out, note, _, err = None.apply(m)
	require.NoError(t, err)
	require.Empty(t, note)
	require.Equal(t, []uint8{0, 0, 48}, RGB(out)[9:12])
}
