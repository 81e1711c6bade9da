package picture

import (
	"image"
	"image/color"
)

// RGB returns the pixels of img as height × width × 3 bytes, row by row, without
// alpha: see the package comment for how colours are converted. It panics where img.At would:
// for a nil picture, or one with fewer bytes than its bounds and stride say.
func RGB(img image.Image) []uint8 {
	img = pixelsOf(img)
	b := img.Bounds()
	stride := 3 * b.Dx()
	out := make([]uint8, stride*b.Dy())
	rows := rowsOf(img, false)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		rows(y, out[(y-b.Min.Y)*stride:][:stride])
	}
	return out
}

// rowReader writes row y of a picture, in the picture's own coordinates, as RGB
// bytes over the whole width.
type rowReader func(y int, rgb []uint8)

// rowsOf chooses the reader for img. Luma and chroma of a lossy WebP use the 16…235
// of television, but package webp hands them over as if they used 0…255.
func rowsOf(img image.Image, webp bool) rowReader {
	left := img.Bounds().Min.X
	switch m := img.(type) {
	case *image.RGBA:
		return func(y int, rgb []uint8) { premultiplied(m.Pix[m.PixOffset(left, y):], rgb) }
	case *image.NRGBA:
		return func(y int, rgb []uint8) { strided(m.Pix[m.PixOffset(left, y):], rgb, 4, 1) }
	case *image.NRGBA64:
		return func(y int, rgb []uint8) { strided(m.Pix[m.PixOffset(left, y):], rgb, 8, 2) }
	case *image.Gray:
		return func(y int, rgb []uint8) { strided(m.Pix[m.PixOffset(left, y):], rgb, 1, 0) }
	case *image.Gray16:
		return func(y int, rgb []uint8) { strided(m.Pix[m.PixOffset(left, y):], rgb, 2, 0) }
	case *image.CMYK:
		return func(y int, rgb []uint8) { cmyk(m.Pix[m.PixOffset(left, y):], rgb) }
	case *image.Paletted:
		return paletted(m)
	case *Float:
		return m.row
	case *image.YCbCr:
		return newChroma(m, webp).row
	case *image.NYCbCrA:
		return newChroma(&m.YCbCr, webp).row
	}
	b := img.Bounds()
	return func(y int, rgb []uint8) {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			out := rgb[3*(x-b.Min.X):][:3]
			out[0], out[1], out[2] = c.R, c.G, c.B
		}
	}
}

// strided copies three samples a pixel: pixels are step bytes apart and samples
// next bytes (0 repeats a grey value).
func strided(pix, rgb []uint8, step, next int) {
	for i, j := 0, 0; i+2 < len(rgb); i, j = i+3, j+step {
		rgb[i], rgb[i+1], rgb[i+2] = pix[j], pix[j+next], pix[j+2*next]
	}
}

// premultiplied takes the alpha out of RGBA.
func premultiplied(pix, rgb []uint8) {
	for i, j := 0, 0; i+2 < len(rgb); i, j = i+3, j+4 {
		p, out := pix[j:][:4], rgb[i:][:3]
		out[0], out[1], out[2] = p[0], p[1], p[2]
		if a := uint32(p[3]); a > 0 && a < 255 {
			for k := range 3 {
				out[k] = uint8(min((uint32(p[k])*255+a/2)/a, 255))
			}
		}
	}
}

// cmyk multiplies inks, as PIL does.
func cmyk(pix, rgb []uint8) {
	for i, j := 0, 0; i+2 < len(rgb); i, j = i+3, j+4 {
		light := 255 - uint32(pix[j+3])
		for k := range 3 {
			v := (255-uint32(pix[j+k]))*light + 128
			rgb[i+k] = uint8((v + v>>8) >> 8)
		}
	}
}

func paletted(m *image.Paletted) rowReader {
	var table [256][3]uint8 // indices beyond the palette are black
	for i, c := range m.Palette[:min(len(m.Palette), 256)] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		table[i] = [3]uint8{n.R, n.G, n.B}
	}
	return func(y int, rgb []uint8) {
		for i, index := range m.Pix[m.PixOffset(m.Rect.Min.X, y):][:m.Rect.Dx()] {
			copy(rgb[3*i:][:3], table[index][:])
		}
	}
}
