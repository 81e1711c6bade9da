package annotation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
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
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".png" {
		p, err := picture.Open(path, picture.Options{MaxPixels: maxPixels})
		if err != nil {
			return nil, err
		}
		return rasterOf(p.Image)
	}
	text, err := regular.ReadFile(path, 1<<30)
	if err != nil {
		return nil, err
	}
	c, err := png.DecodeConfig(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	pixels := float64(c.Width) * float64(c.Height)
	if c.Width < 1 || c.Height < 1 || pixels > maxPixels || pixels/8 > 1032*float64(len(text)) {
		return nil, fmt.Errorf("%d×%d pixels in %d bytes", c.Width, c.Height, len(text))
	}
	m, err := png.Decode(bytes.NewReader(text))
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
	case *picture.Float:
		if m.Samples != 1 {
			return nil, errColours
		}
		for _, v := range m.Pix {
			if v != math.Trunc(v) || v < 0 || v > math.MaxUint32 {
				return nil, fmt.Errorf("%v is not a label: they are whole numbers from 0", v)
			}
		}
		value = func(x, y int) uint32 { return uint32(m.Pix[(y-b.Min.Y)*b.Dx()+x-b.Min.X]) }
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
	number := map[uint32]int{}
	var seen []uint32
	for _, v := range r.values {
		if _, ok := number[v]; !ok && v != 0 {
			number[v] = 0
			if seen = append(seen, v); len(seen) == 1<<16 {
				return nil, nil, fmt.Errorf("more than %d labels: this is not a label map", 1<<16-1)
			}
		}
	}
	slices.Sort(seen)
	for i, v := range seen {
		number[v] = i + 1
	}
	m := image.NewGray16(image.Rect(0, 0, r.width, r.height))
	for i, v := range r.values {
		if v != 0 {
			binary.BigEndian.PutUint16(m.Pix[2*i:], uint16(number[v]))
		}
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
