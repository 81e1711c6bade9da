package tiff

import (
	"errors"
	"fmt"
	"math"
)

// Tags that this package reads.
const (
	tagNewSubfileType   = 254
	tagSubfileType      = 255
	tagWidth            = 256
	tagHeight           = 257
	tagBits             = 258
	tagCompression      = 259
	tagPhotometric      = 262
	tagFillOrder        = 266
	tagDescription      = 270
	tagStripOffsets     = 273
	tagOrientation      = 274
	tagSamples          = 277
	tagRowsPerStrip     = 278
	tagStripBytes       = 279
	tagXResolution      = 282
	tagYResolution      = 283
	tagPlanar           = 284
	tagT4Options        = 292
	tagResolutionUnit   = 296
	tagPredictor        = 317
	tagColorMap         = 320
	tagTileWidth        = 322
	tagTileHeight       = 323
	tagTileOffsets      = 324
	tagTileBytes        = 325
	tagInkSet           = 332
	tagSubIFDs          = 330
	tagExtraSamples     = 338
	tagSampleFormat     = 339
	tagJPEGTables       = 347
	tagJPEGOffset       = 513
	tagJPEGBytes        = 514
	tagYCbCrWeights     = 529
	tagYCbCrSubsampling = 530
	tagBlackWhite       = 532
	tagDepth            = 32997 // ImageDepth of SGI
	tagUIC2             = 33629
	tagImageJSizes      = 50838
	tagImageJ           = 50839
)

// A Photometric says what samples mean.
type Photometric int

// Values of the tag PhotometricInterpretation.
const (
	WhiteIsZero Photometric = 0
	BlackIsZero Photometric = 1
	RGB         Photometric = 2
	Palette     Photometric = 3
	Mask        Photometric = 4
	Separated   Photometric = 5 // inks
	YCbCr       Photometric = 6
	CIELab      Photometric = 8
	ICCLab      Photometric = 9
	ITULab      Photometric = 10
	CFA         Photometric = 32803 // a camera's raw mosaic
	LinearRaw   Photometric = 34892
)

// A Format is the type of samples.
type Format int

// Values of the tag SampleFormat.
const (
	Unsigned Format = 1
	Signed   Format = 2
	Float    Format = 3
)

// A Page is what the tags of a page say.
type Page struct {
	Width, Height int
	Samples       int // per pixel
	Bits          int // per sample
	Format        Format
	Photometric   Photometric
	Compression   int
	Orientation   int   // as in EXIF, 1 to 8
	Extra         []int // what samples beyond the colours are: 1 premultiplied alpha, 2 alpha, 0 something else
	InkSet        int   // 1 is CMYK
	ColorMap      []uint16
	Weights       [3]float64 // of red, green and blue in luma
	BlackWhite    []float64  // reference black and white of Y, Cb and Cr; empty if absent
	// Resolution is the number of pixels per Unit (1 none, 2 inch, 3 centimetre); 0 if absent.
	Resolution [2]float64
	Unit       int

	file          *File
	dir           directory
	window        *pagePart // the part of a page that this is; nil for a whole page
	moved         uint64    // bytes that its pixels are further back than the tags say: see Consecutive
	planar, tiled bool
	chunkW        int // of a strip or tile, in pixels
	chunkH        int
	predictor     int
	fillOrder     int
	t4Options     int
	subX, subY    int // chroma subsampling
}

// Len returns the number of pages.
func (f *File) Len() int { return len(f.pages) }

// Description returns the text of the tag ImageDescription of a page.
func (f *File) Description(page int) string { return f.text(f.pages[page], tagDescription) }

// Reduced reports whether a page says that it is a smaller copy of another, or a mask.
func (f *File) Reduced(page int) bool {
	kind, err := f.integer(f.pages[page], tagNewSubfileType, 0)
	old, err2 := f.integer(f.pages[page], tagSubfileType, 0)
	return err == nil && kind&5 != 0 || err2 == nil && old == 2
}

// Page returns what the tags of a page say.
func (f *File) Page(i int) (*Page, error) { return f.page(f.pages[i]) }

// Level returns the n-th of the smaller copies of a page that its tag SubIFDs lists, from 1, or
// nil if it lists no such copy.
func (f *File) Level(page, n int) (*Page, error) {
	at, err := f.integers(f.pages[page], tagSubIFDs)
	if err != nil || n > len(at) {
		return nil, err
	}
	room := f.size
	d, _, err := f.directory(at[n-1], &room)
	if err != nil {
		return nil, err
	}
	return f.page(d)
}

func (f *File) page(d directory) (*Page, error) {
	p := &Page{file: f, dir: d}
	var bits, format, photometric, rows, planar, sub int
	for _, tag := range []struct {
		to        *int
		tag       uint16
		otherwise int
	}{
		{&p.Width, tagWidth, 0}, {&p.Height, tagHeight, 0}, {&p.Samples, tagSamples, 1}, {&bits, tagBits, 1},
		{&format, tagSampleFormat, 1}, {&p.Compression, tagCompression, 1}, {&photometric, tagPhotometric, -1},
		{&p.Orientation, tagOrientation, 1}, {&p.InkSet, tagInkSet, 1},
		{&p.Unit, tagResolutionUnit, 2}, {&planar, tagPlanar, 1}, {&rows, tagRowsPerStrip, math.MaxInt32},
		{&p.predictor, tagPredictor, 1}, {&p.fillOrder, tagFillOrder, 1}, {&p.t4Options, tagT4Options, 0}, {&sub, tagYCbCrSubsampling, 2},
	} {
		v, err := f.integer(d, tag.tag, tag.otherwise)
		if tag.tag == tagRowsPerStrip && err != nil {
			v, err = math.MaxInt32, nil // 2³²−1 means all rows
		}
		if err != nil {
			return nil, err
		}
		*tag.to = v
	}
	p.Bits, p.Format, p.Photometric, p.planar = bits, Format(format), Photometric(photometric), planar == 2 && p.Samples > 1
	if p.Orientation < 1 || p.Orientation > 8 {
		p.Orientation = 1
	}
	if p.Format == 4 { // untyped data
		p.Format = Unsigned
	}
	if err := p.shape(rows, sub); err != nil {
		return nil, err
	}
	return p, p.colours()
}

// shape resolves and checks what pixels and chunks look like.
func (p *Page) shape(rows, sub int) error {
	f, d := p.file, p.dir
	switch {
	case p.Width < 1 || p.Height < 1:
		return fmt.Errorf("a page of %d×%d pixels", p.Width, p.Height)
	case p.Samples < 1 || p.Samples > math.MaxUint16:
		return fmt.Errorf("%d samples per pixel", p.Samples)
	case p.Photometric < 0 && p.Samples >= 3:
		p.Photometric = RGB
	case p.Photometric < 0:
		p.Photometric = BlackIsZero
	}
	if depth, err := f.integer(d, tagDepth, 1); err != nil || depth > 1 {
		return errors.Join(err, fmt.Errorf("a page that is a volume of %d slices: %w; save a page for each slice", depth, ErrUnsupported))
	}
	all, err := f.integers(d, tagBits)
	if err != nil {
		return err
	}
	for _, n := range all {
		if int(n) != p.Bits {
			return fmt.Errorf("samples of %d and of %d bits: %w", p.Bits, n, ErrUnsupported)
		}
	}
	ok := false
	switch p.Format {
	case Unsigned:
		ok = p.Bits >= 1 && p.Bits <= 32 || p.Bits == 64
	case Signed:
		ok = p.Bits == 8 || p.Bits == 16 || p.Bits == 32 || p.Bits == 64
	case Float:
		ok = p.Bits == 16 || p.Bits == 24 || p.Bits == 32 || p.Bits == 64
	default:
		return fmt.Errorf("samples that are complex numbers: %w; take their magnitude", ErrUnsupported)
	}
	if !ok {
		return fmt.Errorf("samples of %d bits of format %d: %w", p.Bits, p.Format, ErrUnsupported)
	}
	p.subX, p.subY = 1, 1
	if p.Photometric == YCbCr && p.Samples == 3 && !p.planar {
		p.subX, p.subY = sub, sub
		if two, err := f.integers(d, tagYCbCrSubsampling); err == nil && len(two) >= 2 {
			p.subY = int(min(two[1], 99))
		}
		for _, s := range []int{p.subX, p.subY} {
			if s != 1 && s != 2 && s != 4 {
				return fmt.Errorf("chroma subsampling by %d", s)
			}
		}
	}
	_, p.tiled = d.find(tagTileWidth)
	if !p.tiled {
		p.chunkW, p.chunkH = p.Width, min(max(rows, 1), p.Height)
		return nil
	}
	p.chunkW, err = f.integer(d, tagTileWidth, 0)
	if err == nil {
		p.chunkH, err = f.integer(d, tagTileHeight, 0)
	}
	// A tile may be larger than the page, within reason.
	if err == nil && (p.chunkW < 1 || p.chunkH < 1 || p.chunkW > p.Width+1<<14 || p.chunkH > p.Height+1<<14) {
		err = fmt.Errorf("tiles of %d×%d pixels", p.chunkW, p.chunkH)
	}
	return err
}

// colours reads the tags that say how samples are coloured.
func (p *Page) colours() error {
	f, d := p.file, p.dir
	extra, err := f.integers(d, tagExtraSamples)
	if err != nil {
		return err
	}
	for _, v := range extra[:min(len(extra), p.Samples)] {
		p.Extra = append(p.Extra, int(min(v, 9)))
	}
	if p.Photometric == Palette {
		colors, err := f.integers(d, tagColorMap)
		if err != nil {
			return err
		}
		if p.Bits > 16 || len(colors) < 3<<p.Bits {
			return errors.New("a palette that is too short")
		}
		for _, v := range colors[:3<<p.Bits] {
			p.ColorMap = append(p.ColorMap, uint16(v))
		}
	}
	p.Weights = [3]float64{0.299, 0.587, 0.114}
	if w, err := f.numbers(d, tagYCbCrWeights); err == nil && len(w) == 3 && w[0] > 0 && w[1] > 0 && w[2] > 0 {
		p.Weights = [3]float64(w)
	}
	if b, err := f.numbers(d, tagBlackWhite); err == nil && len(b) == 6 {
		p.BlackWhite = b
	}
	for i, tag := range []uint16{tagXResolution, tagYResolution} {
		if r, err := f.numbers(d, tag); err == nil && len(r) == 1 && r[0] > 0 && !math.IsInf(r[0], 0) {
			p.Resolution[i] = r[0]
		}
	}
	return nil
}
