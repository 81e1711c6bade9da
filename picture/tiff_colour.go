package picture

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/diffusioninst/go/internal/tiff"
)

// A layout says what the samples of a page are.
type layout struct {
	names   []string // of the channels
	colours int      // samples at the front of which the first channels are made; 0 if each is a channel
	alpha   bool     // whether transparency is left out of the names
}

// layoutOf names the samples of a page: red, green and blue if it has colours, and what is
// behind them; else grey, or as many channels as there are samples besides alpha.
func layoutOf(p *tiff.Page) (layout, error) {
	colours := 0
	switch p.Photometric {
	case tiff.RGB, tiff.YCbCr, tiff.CIELab, tiff.ICCLab, tiff.ITULab:
		if p.Samples >= 3 {
			colours = 3
		} else if p.Photometric != tiff.RGB && p.Samples == 1 { // lightness alone
			return layout{names: greyNames, colours: 1}, nil
		}
	case tiff.Palette:
		colours = 1
	case tiff.Separated:
		if p.InkSet != 2 && p.Samples >= 4 {
			colours = 4
		}
	case tiff.CFA, tiff.LinearRaw:
		return layout{}, &Error{Kind: ErrCorrupt, Reason: "the raw data of a camera: develop it to TIFF, PNG or JPEG first"}
	}
	if colours > 0 {
		out := layout{names: slices.Clip(colourNames), colours: colours}
		for s := colours; s < p.Samples; s++ {
			name := strconv.Itoa(len(out.names) + 1)
			if at := s - (p.Samples - len(p.Extra)); at >= 0 && isAlpha(p.Extra[at]) {
				name = "alpha"
			}
			out.names = append(out.names, name)
		}
		return out, nil
	}
	n := p.Samples
	for n > 1 && len(p.Extra) >= p.Samples-n+1 && isAlpha(p.Extra[len(p.Extra)-1-(p.Samples-n)]) {
		n--
	}
	if n == 1 {
		return layout{names: greyNames, colours: 1, alpha: p.Samples > 1}, nil
	}
	return layout{names: numbered(make([]string, n)), alpha: n < p.Samples}, nil
}

// readPage reads the chosen channels of a page, or its colours if none is chosen.
func readPage(p *tiff.Page, chosen []int) (*tiff.Raster, error) {
	l, err := layoutOf(p)
	if err != nil {
		return nil, err
	}
	if l.colours == 0 {
		return readSamples(p, chosen)
	}
	if chosen == nil {
		return readColours(p, l.colours)
	}
	// The first channels are made of the colours, the others are single samples.
	made := len(l.names) - (p.Samples - l.colours)
	var colours, others *tiff.Raster
	var extra []int
	for _, c := range chosen {
		if c >= made {
			extra = append(extra, l.colours+c-made)
		}
	}
	if len(extra) < len(chosen) {
		if colours, err = readColours(p, l.colours); err != nil {
			return nil, err
		}
		if colours.Samples == 1 && len(extra) == 0 {
			return selectChannels(colours, make([]int, len(chosen))), nil
		}
	}
	if len(extra) > 0 {
		if others, err = p.Read(extra, tiffCodecs); err != nil {
			return nil, err
		}
	}
	planes := make([]*tiff.Raster, len(chosen))
	seen := 0 // of the others
	for i, c := range chosen {
		if c < made {
			planes[i] = selectChannels(colours, []int{min(c, colours.Samples-1)})
		} else {
			planes[i] = selectChannels(others, []int{seen})
			seen++
		}
	}
	if len(planes) == 1 {
		return planes[0], nil
	}
	joined, ok := tiff.Interleave(planes)
	if !ok {
		return nil, &Error{Kind: ErrChoice, Reason: "the channels differ in their depth, and cannot be seen together"}
	}
	if len(planes) == 2 {
		joined = selectChannels(joined, []int{0, 1})
	}
	return joined, nil
}

func isAlpha(extra int) bool { return extra == 1 || extra == 2 }

// readColours reads a page of which the first n samples are colours, as grey or red, green
// and blue.
func readColours(p *tiff.Page, n int) (*tiff.Raster, error) {
	samples := make([]int, n, n+1)
	for i := range samples {
		samples[i] = i
	}
	premultiplied := p.Photometric == tiff.RGB && p.Samples > n && len(p.Extra) > 0 && p.Extra[0] == 1
	if premultiplied {
		samples = append(samples, n)
	}
	r, err := p.Read(samples, tiffCodecs)
	if err != nil {
		return nil, err
	}
	if premultiplied {
		r = withoutAlpha(r)
	}
	inPicture := p.Compression == tiff.CompressJPEG || p.Compression == tiff.CompressOldJPEG || p.Compression == tiff.CompressWebP
	switch p.Photometric {
	case tiff.Palette:
		return paletteColours(p, r)
	case tiff.Separated:
		if n == 4 {
			return inks(r), nil
		}
	case tiff.YCbCr:
		if inPicture || n == 1 { // its codec made RGB of it
			return r, nil
		}
		return ycbcr(p, r)
	case tiff.CIELab, tiff.ICCLab, tiff.ITULab:
		return lab(p, r)
	}
	return levels(p, r), nil
}

// readSamples reads the chosen samples of a page whose samples are not colours.
func readSamples(p *tiff.Page, chosen []int) (*tiff.Raster, error) {
	r, err := p.Read(chosen, tiffCodecs)
	if err != nil {
		return nil, err
	}
	r = levels(p, r)
	if len(chosen) == 2 {
		r = selectChannels(r, []int{0, 1})
	}
	return r, nil
}

// levels brings samples of less than 8 bits to 8, and makes black the least one.
func levels(p *tiff.Page, r *tiff.Raster) *tiff.Raster {
	inverted := p.Photometric == tiff.WhiteIsZero
	if r.U8 != nil && (inverted || p.Bits < 8) {
		var table [256]uint8
		most := 1<<p.Bits - 1
		for v := range most + 1 {
			table[v] = uint8(v * 255 / most)
			if inverted {
				table[v] = 255 - table[v]
			}
		}
		for i, v := range r.U8 {
			r.U8[i] = table[v]
		}
	}
	if !inverted {
		return r
	}
	most := uint16(1<<p.Bits - 1)
	for i, v := range r.U16 {
		r.U16[i] = most - v
	}
	if r.F64 != nil {
		low, high := extent(r.F64)
		for i, v := range r.F64 {
			r.F64[i] = low + high - v
		}
	}
	return r
}

// withoutAlpha takes the alpha, which is the last sample, out of the colours.
func withoutAlpha(r *tiff.Raster) *tiff.Raster {
	out := &tiff.Raster{Width: r.Width, Height: r.Height, Samples: r.Samples - 1}
	out.U8, out.U16, out.F64 = divided(r.U8, r.Samples, 255), divided(r.U16, r.Samples, 65535), divided(r.F64, r.Samples, 1)
	return out
}

func divided[T uint8 | uint16 | float64](pix []T, samples int, most float64) []T {
	if pix == nil {
		return nil
	}
	out := make([]T, 0, len(pix)/samples*(samples-1))
	for ; len(pix) > 0; pix = pix[samples:] {
		a := float64(pix[samples-1])
		for _, v := range pix[:samples-1] {
			w := float64(v)
			switch {
			case most == 1 && a > 0:
				w /= a
			case most > 1 && a > 0:
				w = min(math.Floor(w*most/a), most) // as Pillow rounds
			case most > 1:
				w = 0
			}
			out = append(out, T(w))
		}
	}
	return out
}

// paletteColours looks up indices. Colours have 16 bits; some writers use only 8 of them.
func paletteColours(p *tiff.Page, r *tiff.Raster) (*tiff.Raster, error) {
	shift, n := 0, 1<<p.Bits
	for _, v := range p.ColorMap {
		if v > 255 {
			shift = 8
		}
	}
	out := &tiff.Raster{Width: r.Width, Height: r.Height, Samples: 3, U8: make([]uint8, 0, 3*r.Width*r.Height)}
	look := func(i int) {
		for k := range 3 {
			out.U8 = append(out.U8, uint8(p.ColorMap[k*n+i]>>shift))
		}
	}
	for _, v := range r.U8 {
		look(int(v))
	}
	for _, v := range r.U16 {
		look(int(v))
	}
	if r.F64 != nil {
		return nil, unsupported(p, "a palette")
	}
	return out, nil
}

func unsupported(p *tiff.Page, what string) error {
	return &Error{Kind: ErrCorrupt, Reason: fmt.Sprintf("%s of samples of %d bits of format %d is not supported: save it as RGB", what, p.Bits, p.Format)}
}

// inks multiplies cyan, magenta, yellow and black.
func inks(r *tiff.Raster) *tiff.Raster {
	out := &tiff.Raster{Width: r.Width, Height: r.Height, Samples: 3}
	n := r.Width * r.Height
	switch {
	case r.U8 != nil:
		out.U8 = make([]uint8, 3*n)
		for y := range r.Height {
			cmyk(r.U8[4*y*r.Width:], out.U8[3*y*r.Width:][:3*r.Width])
		}
	case r.U16 != nil:
		out.U16 = make([]uint16, 3*n)
		for i := range n {
			for k := range 3 {
				out.U16[3*i+k] = uint16((65535 - uint64(r.U16[4*i+k])) * (65535 - uint64(r.U16[4*i+3])) / 65535)
			}
		}
	default:
		out.F64 = make([]float64, 3*n)
		for i := range n {
			for k := range 3 {
				out.F64[3*i+k] = (1 - r.F64[4*i+k]) * (1 - r.F64[4*i+3])
			}
		}
	}
	return out
}

// ycbcr converts samples of luma and chroma by TIFF 6.0, section 21.
func ycbcr(p *tiff.Page, r *tiff.Raster) (*tiff.Raster, error) {
	if r.U8 == nil || p.Bits != 8 {
		return nil, unsupported(p, "YCbCr")
	}
	reference := []float64{0, 255, 128, 255, 128, 255}
	if len(p.BlackWhite) == 6 {
		reference = p.BlackWhite
	}
	code := func(v uint8, k int, most float64) float64 {
		black, white := reference[2*k], reference[2*k+1]
		if white == black {
			return float64(v) - black
		}
		return (float64(v) - black) * most / (white - black)
	}
	w := p.Weights
	for i := 0; i+2 < len(r.U8); i += 3 {
		y, cb, cr := code(r.U8[i], 0, 255), code(r.U8[i+1], 1, 127), code(r.U8[i+2], 2, 127)
		red, blue := y+cr*(2-2*w[0]), y+cb*(2-2*w[2])
		green := (y - w[0]*red - w[2]*blue) / w[1]
		r.U8[i], r.U8[i+1], r.U8[i+2] = byteOf(red), byteOf(green), byteOf(blue)
	}
	return r, nil
}
