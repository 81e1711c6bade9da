package picture

import (
	"encoding/binary"
	"image"
	"image/color"
	"runtime"

	"github.com/diffusioninst/go/internal/jpeg"
	"github.com/diffusioninst/go/internal/relay"
)

// RGB returns the pixels of img as height × width × 3 bytes, row by row, without
// alpha: see the package comment for how colours are converted. It panics where img.At would:
// for a nil picture, or one with fewer bytes than its bounds and stride say.
func RGB(img image.Image) []uint8 {
	img = pixelsOf(img)
	b := img.Bounds()
	stride := 3 * b.Dx()
	out := make([]uint8, stride*b.Dy())
	eachBand(b.Min.Y, b.Max.Y, shared(img), func(from, to int) {
		rows := rowsOf(img, false)
		for y := from; y < to; y++ {
			rows(y, out[(y-b.Min.Y)*stride:][:stride])
		}
	})
	return out
}

// shared returns how many pixels of a picture several goroutines may read: none of a type of the
// caller's own.
func shared(img image.Image) int {
	switch img.(type) {
	case *image.RGBA, *image.NRGBA, *image.RGBA64, *image.NRGBA64, *image.Gray, *image.Gray16, *image.CMYK, *image.YCbCr, *image.NYCbCrA, *Float:
		return img.Bounds().Dx() * img.Bounds().Dy()
	}
	return 0
}

// eachBand calls f with parts of rows of a picture, in several goroutines if its pixels are many.
func eachBand(from, to, pixels int, f func(from, to int)) {
	const alone = 1 << 17 // pixels for which one goroutine is enough
	n, workers := 1, 1
	if pixels > alone {
		workers = runtime.GOMAXPROCS(0)
		n = min(4*workers, to-from)
	}
	relay.Each(workers, n, func(i int) {
		f(from+i*(to-from)/n, from+(i+1)*(to-from)/n)
	})
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
		return packed(newChroma(m, webp))
	case *image.NYCbCrA:
		return packed(newChroma(&m.YCbCr, webp))
	case *jpeg.YCCK:
		return ycck(m)
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

// rgbaRowsOf is rowsOf for rows of opaque RGBA.
func rgbaRowsOf(img image.Image, webp bool) rowReader {
	switch m := img.(type) {
	case *image.YCbCr:
		return newChroma(m, webp).row
	case *image.NYCbCrA:
		return newChroma(&m.YCbCr, webp).row
	case *image.Gray:
		return func(y int, rgba []uint8) {
			for i, v := range m.Pix[m.PixOffset(m.Rect.Min.X, y):][:m.Rect.Dx()] {
				binary.LittleEndian.PutUint32(rgba[4*i:], uint32(v)*0x010101|0xff000000)
			}
		}
	}
	rows, rgb := rowsOf(img, webp), make([]uint8, 3*img.Bounds().Dx())
	return func(y int, rgba []uint8) {
		rows(y, rgb)
		spread(rgb, rgba)
	}
}

// packed reads rows of luma and chroma as RGB.
func packed(c *chroma) rowReader {
	rgba := make([]uint8, 4*c.m.Rect.Dx())
	return func(y int, rgb []uint8) {
		c.row(y, rgba)
		premultiplied(rgba, rgb)
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
	for len(rgb) >= 12 { // four opaque pixels
		p, out := pix[:16], rgb[:12]
		a, b := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
		const opaque = 0xff<<56 | 0xff<<24
		if a&b&opaque != opaque {
			premultipliedPixels(pix[:16], rgb[:12])
		} else {
			binary.LittleEndian.PutUint32(out, uint32(a)&0xffffff|uint32(a>>32)<<24)
			binary.LittleEndian.PutUint32(out[4:], uint32(a>>40)&0xffff|uint32(b)<<16)
			binary.LittleEndian.PutUint32(out[8:], uint32(b)>>16&0xff|uint32(b>>32)<<8)
		}
		pix, rgb = pix[16:], rgb[12:]
	}
	premultipliedPixels(pix, rgb)
}

func premultipliedPixels(pix, rgb []uint8) {
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

// ycck reads inks of which three are luma and chroma.
func ycck(m *jpeg.YCCK) rowReader {
	colours, inks := newChroma(&m.YCbCr, false), make([]uint8, 4*m.Rect.Dx())
	return func(y int, rgb []uint8) {
		colours.row(y, inks)
		for i, k := range m.K[(y-m.Rect.Min.Y)*m.Rect.Dx():][:m.Rect.Dx()] {
			inks[4*i+3] = k
		}
		cmyk(inks, rgb)
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
