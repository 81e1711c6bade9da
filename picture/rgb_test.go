package picture

import (
	"image"
	"image/color"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrapped hides the type of an image, so that the generic way is taken.
type wrapped struct{ image.Image }

func noise(pix []uint8) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range pix {
		pix[i] = uint8(r.Uint32())
	}
}

// The fast ways against At, on sub-images as well.
func TestRGBAgainstAt(t *testing.T) {
	rect := image.Rect(-3, 5, 14, 18)
	rgba, nrgba, deep := image.NewRGBA(rect), image.NewNRGBA(rect), image.NewNRGBA64(rect)
	grey, grey16, cmyk := image.NewGray(rect), image.NewGray16(rect), image.NewCMYK(rect)
	paletted := image.NewPaletted(rect, color.Palette{color.Black, color.NRGBA{9, 8, 7, 6}, color.White})
	for _, pix := range [][]uint8{rgba.Pix, nrgba.Pix, deep.Pix, grey.Pix, grey16.Pix, cmyk.Pix, paletted.Pix} {
		noise(pix)
	}
	for i := range paletted.Pix {
		paletted.Pix[i] %= 3
	}
	for i := 0; i < len(rgba.Pix); i += 4 { // valid alpha: no colour above it
		a := rgba.Pix[i+3]
		for k := range 3 {
			rgba.Pix[i+k] = min(rgba.Pix[i+k], a)
		}
	}
	for name, m := range map[string]interface {
		image.Image
		SubImage(image.Rectangle) image.Image
	}{"RGBA": rgba, "NRGBA": nrgba, "NRGBA64": deep, "Gray": grey, "Gray16": grey16, "CMYK": cmyk, "Paletted": paletted} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []image.Rectangle{rect, image.Rect(1, 6, 9, 17), image.Rect(2, 7, 3, 8), {}} {
				sub := m.SubImage(r)
				most, _ := worst(t, RGB(sub), RGB(wrapped{sub}))
				limit := 1 // rounding
				if name == "NRGBA" || name == "Gray" || name == "NRGBA64" {
					limit = 0
				}
				if name == "NRGBA64" {
					limit = 1 // At rounds through premultiplied colours
				}
				require.LessOrEqual(t, most, limit)
			}
		})
	}
}

func TestRGBDropsAlpha(t *testing.T) {
	clear := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	clear.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 0})
	require.Equal(t, []uint8{10, 20, 30}, RGB(clear))
	half := image.NewRGBA(image.Rect(0, 0, 1, 1))
	half.SetRGBA(0, 0, color.RGBA{50, 25, 5, 128})
	require.Equal(t, []uint8{100, 50, 10}, RGB(half))
}

func TestYCbCrWithoutSubsampling(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 9, 7), image.YCbCrSubsampleRatio444)
	noise(m.Y)
	noise(m.Cb)
	noise(m.Cr)
	most, _ := worst(t, RGB(m), RGB(wrapped{m}))
	require.LessOrEqual(t, most, 1)
}

// A flat field must stay flat, and sub-images and odd sizes must not be read beyond.
func TestYCbCrEdges(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio422,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		t.Run(ratio.String(), func(t *testing.T) {
			for w := 1; w < 12; w++ {
				for h := 1; h < 7; h++ {
					m := image.NewYCbCr(image.Rect(0, 0, w, h), ratio)
					fill(m.Y, 120)
					fill(m.Cb, 90)
					fill(m.Cr, 200)
					for x := range w {
						for y := range h {
							sub := m.SubImage(image.Rect(x, y, w, h))
							got := RGB(sub)
							for i := range got {
								require.Equal(t, got[i%3], got[i])
							}
						}
					}
				}
			}
		})
	}
}

func fill(pix []uint8, v uint8) {
	for i := range pix {
		pix[i] = v
	}
}
