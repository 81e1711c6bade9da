package annotation

import (
	"fmt"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/tiff"
)

// readNumbers reads a label map of a TIFF file whose numbers stand for colours: places in a palette, or
// greys of which 0 is white, as ImageJ writes masks with an inverting table and tifffile truth values.
// It returns nil for other files.
func readNumbers(path string) (*raster, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	file, err := tiff.Open(f, info.Size())
	if err != nil || file.Len() != 1 {
		return nil, nil // picture.Open says what is wrong
	}
	p, err := file.Page(0)
	if err != nil || p.Samples != 1 || p.Orientation > 1 || p.Photometric != tiff.WhiteIsZero && p.Photometric != tiff.Palette {
		return nil, nil
	}
	if float64(p.Width)*float64(p.Height) > maxPixels {
		return nil, fmt.Errorf("%d×%d pixels: the limit is %d", p.Width, p.Height, maxPixels)
	}
	samples, err := p.Read([]int{0}, nil)
	if err != nil {
		return nil, err
	}
	r := &raster{width: p.Width, height: p.Height, values: make([]uint32, p.Width*p.Height), voc: isVOCMap(p.ColorMap)}
	for i, v := range samples.U8 {
		if r.values[i] = uint32(v); p.Bits == 1 {
			r.values[i] *= 255 // as other black and white pictures
		}
	}
	for i, v := range samples.U16 {
		r.values[i] = uint32(v)
	}
	return r, r.numbers(samples.F64)
}
