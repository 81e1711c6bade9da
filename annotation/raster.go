package annotation

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/pngrepair"
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
	coloured      bool // each colour is a label; black, and what is transparent, is the background
	voc           bool // numbers have the colours of PASCAL VOC: see dropVoid
}

// readRaster reads a label map: a PNG or TIFF of one channel with 8, 16 or 32 bits, or one in
// colours. The values of a palette are the places in it.
func readRaster(path string) (*raster, error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".png" {
		if r, err := readNumbers(path); r != nil || err != nil {
			return r, err
		}
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
	m, err := pngrepair.Decode(text)
	if err != nil {
		return nil, err
	}
	return rasterOf(m)
}

var errColours = errors.New("a picture in colours, not a label map: it has neither a single number nor a plain colour per object")

func rasterOf(m image.Image) (*raster, error) {
	b := m.Bounds()
	r := &raster{width: b.Dx(), height: b.Dy(), values: make([]uint32, b.Dx()*b.Dy())}
	var value func(x, y int) uint32
	switch m := m.(type) {
	case *image.Gray:
		value = func(x, y int) uint32 { return uint32(m.GrayAt(x, y).Y) }
	case *image.Gray16:
		value = func(x, y int) uint32 { return uint32(m.Gray16At(x, y).Y) }
	case *image.Paletted:
		value = func(x, y int) uint32 { return uint32(m.ColorIndexAt(x, y)) }
		r.voc = isVOCPalette(m.Palette)
	case *picture.Float:
		if m.Samples != 1 {
			return nil, errColours
		}
		return r, r.numbers(m.Pix)
	default:
		return r, r.colours(m)
	}
	for i := range r.values {
		r.values[i] = value(b.Min.X+i%r.width, b.Min.Y+i/r.width)
	}
	return r, nil
}

// numbers takes labels that are floating-point numbers, if any.
func (r *raster) numbers(pix []float64) error {
	for i, v := range pix {
		if v != math.Trunc(v) || v < 0 || v > math.MaxUint32 {
			return fmt.Errorf("%v is not a label: they are whole numbers from 0", v)
		}
		r.values[i] = uint32(v)
	}
	return nil
}

// colours reads a picture in colours. Grey ones have the numbers that their samples are.
func (r *raster) colours(m image.Image) error {
	b, wide := m.Bounds(), false
	switch m.(type) {
	case *image.RGBA64, *image.NRGBA64:
		wide = true
	}
	for i := range r.values {
		c := color.NRGBA64Model.Convert(m.At(b.Min.X+i%r.width, b.Min.Y+i/r.width)).(color.NRGBA64)
		if c.A == 0 {
			c.R, c.G, c.B = 0, 0, 0
		}
		if c.R != c.G || c.G != c.B {
			return r.colourful(m)
		}
		if !wide {
			c.R >>= 8
		}
		r.values[i] = uint32(c.R)
	}
	return nil
}

// colourful reads a picture of which each colour is a label.
func (r *raster) colourful(m image.Image) error {
	b := m.Bounds()
	for i := range r.values {
		c := color.NRGBAModel.Convert(m.At(b.Min.X+i%r.width, b.Min.Y+i/r.width)).(color.NRGBA)
		r.values[i] = 0
		if c.A != 0 {
			r.values[i] = packed(c)
		}
	}
	if r.coloured = true; !r.flat() {
		return errColours
	}
	return nil
}

// maxLabels bounds the objects of a label map by its pixels: noise is not a label map.
func (r *raster) maxLabels() int { return max(1<<16-1, len(r.values)/16) }

// split returns the labels that occur, ascending and without 0, and the mask of each.
func (r *raster) split() ([]uint32, []mask.RLE, error) {
	type part struct {
		counts []uint32
		end    uint32 // of the last run of set pixels
	}
	parts := map[uint32]*part{}
	var label, start, at uint32
	// Runs go down the columns, so a label's pixels are met in the order of its mask.
	finish := func() {
		if label == 0 || at == start {
			return
		}
		p := parts[label]
		if p == nil {
			p = &part{}
			parts[label] = p
		}
		if n := len(p.counts); n > 0 && p.end == start {
			p.counts[n-1] += at - start
		} else {
			p.counts = append(p.counts, start-p.end, at-start)
		}
		p.end = at
	}
	for x := range r.width {
		for y := range r.height {
			if v := r.values[y*r.width+x]; v != label {
				finish()
				if len(parts) > r.maxLabels() {
					return nil, nil, fmt.Errorf("more than %d labels on %d×%d pixels: this is not a label map", r.maxLabels(), r.width, r.height)
				}
				label, start = v, at
			}
			at++
		}
	}
	finish()
	labels := slices.Sorted(maps.Keys(parts))
	masks := make([]mask.RLE, len(labels))
	for i, v := range labels {
		p := parts[v]
		if p.end < at {
			p.counts = append(p.counts, at-p.end)
		}
		masks[i] = mask.RLE{Width: r.width, Height: r.height, Counts: p.counts}
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
