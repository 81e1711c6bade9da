package annotation

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"strings"

	"golang.org/x/image/tiff"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/mask"
)

// maxPixels bounds a label map.
const maxPixels = 100_000_000

// A raster is the whole numbers of a label map, row by row.
type raster struct {
	width, height int
	values        []uint32
}

// readRaster reads a label map: a PNG or TIFF of one channel with 8, 16 or 32 bits. The values
// of a palette are the places in it.
func readRaster(path string) (*raster, error) {
	text, err := regular.ReadFile(path, 1<<30)
	if err != nil {
		return nil, err
	}
	config, decode := png.DecodeConfig, png.Decode
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".tif" || ext == ".tiff" {
		config, decode = tiff.DecodeConfig, tiff.Decode
	}
	c, err := config(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	pixels := float64(c.Width) * float64(c.Height)
	if c.Width < 1 || c.Height < 1 || pixels > maxPixels || pixels/8 > 1032*float64(len(text)) {
		return nil, fmt.Errorf("%d×%d pixels in %d bytes", c.Width, c.Height, len(text))
	}
	m, err := decode(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return rasterOf(m)
}

var errColours = errors.New("a picture in colours, not a label map: it has no single number per pixel")

func rasterOf(m image.Image) (*raster, error) {
	b := m.Bounds()
	r := &raster{b.Dx(), b.Dy(), make([]uint32, b.Dx()*b.Dy())}
	var value func(x, y int) uint32
	switch m := m.(type) {
	case *image.Gray:
		value = func(x, y int) uint32 { return uint32(m.GrayAt(x, y).Y) }
	case *image.Gray16:
		value = func(x, y int) uint32 { return uint32(m.Gray16At(x, y).Y) }
	case *image.Paletted:
		value = func(x, y int) uint32 { return uint32(m.ColorIndexAt(x, y)) }
	default:
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				if c := color.NRGBA64Model.Convert(m.At(x, y)).(color.NRGBA64); c.R != c.G || c.G != c.B {
					return nil, errColours
				}
			}
		}
		value = func(x, y int) uint32 { return uint32(color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA).R) }
	}
	for i := range r.values {
		r.values[i] = value(b.Min.X+i%r.width, b.Min.Y+i/r.width)
	}
	return r, nil
}

// split returns the labels that occur, ascending and without 0, and the mask of each.
func (r *raster) split() ([]uint32, []mask.RLE, error) {
	number := map[uint32]uint16{}
	var seen []uint32
	m := image.NewGray16(image.Rect(0, 0, r.width, r.height))
	for i, v := range r.values {
		if v == 0 {
			continue
		}
		n, ok := number[v]
		if !ok {
			if len(seen) == 1<<16-1 {
				return nil, nil, fmt.Errorf("more than %d labels: this is not a label map", 1<<16-1)
			}
			seen = append(seen, v)
			n = uint16(len(seen))
			number[v] = n
		}
		m.Pix[2*i], m.Pix[2*i+1] = uint8(n>>8), uint8(n)
	}
	places, masks, err := mask.SplitLabelMap(m)
	if err != nil {
		return nil, nil, err
	}
	labels := make([]uint32, len(places))
	for i, n := range places {
		labels[i] = seen[n-1]
	}
	return labels, masks, nil
}

// flat reports whether r looks like a label map: it has background, and most pixels
// equal their neighbour.
func (r *raster) flat() bool {
	same, zeros := 0, 0
	for i, v := range r.values {
		if v == 0 {
			zeros++
		}
		if i > 0 && v == r.values[i-1] {
			same++
		}
	}
	n := len(r.values)
	return zeros > 0 && zeros < n && float64(same) > 0.8*float64(n)
}
