package picture

import (
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/diffusioninst/go/internal/tiff"
)

// A Source is a picture that stays in its file: [Source.Region] reads a part of it, of which
// only the strips or tiles that it needs are decoded. It is an [image.Image] of the whole
// picture, whose At is slow. A model cuts it into tiles without ever holding all of it. It is
// safe for concurrent use.
type Source struct {
	file    io.Closer
	t       *tiffFile
	g       group
	o       Options
	size    image.Point // as stored
	turn    turning
	like    image.Image // a pixel of it: what regions are
	changed []func(image.Image) image.Image
	windows *windows
	failed  *error // where streaming over it keeps its first error
}

// windows are parts of the planes of a file.
type windows struct {
	sync.Mutex
	byPlane map[int]*tiff.Windows
}

// sourceBytes is what a source keeps of decoded strips and tiles.
const sourceBytes = 128 << 20

// OpenSource opens the TIFF file at path as a picture that stays there: Image is a *[Source],
// and Close closes the file. Of the options MaxPixels, MaxSide and MaxBytes do not hold. With
// Normalize the samples are read once, for the same numbers as of a picture in memory.
// Errors are as with [Open]; another format than TIFF, and strips that are too large to be
// decoded one by one, are refused.
func OpenSource(path string, o Options) (*Picture, error) {
	p, err := openSource(path, o)
	return p, named(path, err)
}

func openSource(path string, o Options) (*Picture, error) {
	o = o.withDefaults()
	o.MaxPixels, o.MaxSide = -1, -1
	if err := o.validate(); err != nil {
		return nil, err
	}
	file, err := openFile(path)
	if err != nil {
		return nil, err
	}
	p, err := newSource(file, o)
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return p, nil
}

// newSource makes the picture of an open file, which it closes in the end.
func newSource(file io.ReadCloser, o Options) (*Picture, error) {
	if _, ok := file.(io.ReaderAt); !ok {
		return nil, &Error{Kind: ErrFormat, Reason: "it cannot be read in parts, as it is not a file"}
	}
	source, err := rewindable(file, o.MaxBytes)
	if err != nil {
		return nil, err
	}
	t, err := source.tiff(o)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, &Error{Kind: ErrFormat, Reason: "only TIFF files can be read in parts"}
	}
	g, err := t.group(o)
	if err != nil {
		return nil, err
	}
	first, err := t.plane(g.planes[0], o)
	if err != nil {
		return nil, err
	}
	s := &Source{
		file: file, t: t, g: g, o: o, size: image.Pt(first.Width, first.Height), turn: turning(first.Orientation),
		windows: &windows{byPlane: map[int]*tiff.Windows{}}, failed: new(error),
	}
	p, err := s.read(image.Rect(0, 0, 1, 1))
	if err != nil {
		return nil, err
	}
	s.like, p.Image = p.Image, s
	return p.normalized(o)
}

// Close closes the file of a picture whose Image is a *Source. Of others it does nothing.
func (p *Picture) Close() error {
	if p == nil {
		return nil
	}
	if s, ok := p.Image.(*Source); ok {
		return s.Close()
	}
	return nil
}

// Close closes the file. Regions cannot be read any more.
func (s *Source) Close() error {
	if s == nil || s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Bounds returns the whole picture's, from (0, 0).
func (s *Source) Bounds() image.Rectangle {
	if s.turn > 4 {
		return image.Rect(0, 0, s.size.Y, s.size.X)
	}
	return image.Rectangle{Max: s.size}
}

// ColorModel returns that of the regions.
func (s *Source) ColorModel() color.Model {
	if s.like == nil { // not made by Open
		return color.RGBAModel
	}
	return s.like.ColorModel()
}

// At returns the pixel at (x, y), and black where it cannot be read. It reads a region of one
// pixel.
func (s *Source) At(x, y int) color.Color {
	r := image.Rect(x, y, x+1, y+1)
	m, err := s.Region(r)
	if err != nil || !r.In(s.Bounds()) {
		return s.ColorModel().Convert(color.Black)
	}
	return m.At(x, y)
}

// Region reads the part of the picture in r; its bounds are the part of r inside the picture. Its
// type is the one that the picture has in memory. Errors are of type [*Error].
func (s *Source) Region(r image.Rectangle) (image.Image, error) {
	if s == nil || s.file == nil {
		return nil, &Error{Kind: ErrRead, Reason: "the Source is nil or was not made by Open"}
	}
	if r = r.Intersect(s.Bounds()); r.Empty() {
		return image.NewRGBA(r), nil
	}
	p, err := s.read(r)
	if err != nil {
		return nil, err
	}
	m := p.Image
	for _, change := range s.changed {
		m = change(m)
	}
	switch m := m.(type) {
	case *image.RGBA:
		m.Rect = r
	case *image.Gray16:
		m.Rect = r
	case *image.RGBA64:
		m.Rect = r
	case *Float:
		m.Rect = r
	}
	return m, nil
}

// samples writes samples of channel k to dst, from row y, column x on.
func (s *Source) samples(k int, dst []float64, x, y int) {
	row, err := s.Region(image.Rect(x, y, x+len(dst), y+1))
	if err != nil {
		for i := range dst {
			dst[i] = math.NaN()
		}
		return
	}
	channelRows(row)[k](dst, x, y)
}

// read reads the part in r, as it is in the file.
func (s *Source) read(r image.Rectangle) (*Picture, error) {
	t := *s.t
	stored := s.turn.stored(r, s.size)
	t.window = func(index int, p *tiff.Page) (*tiff.Page, error) {
		if p.Width != s.size.X || p.Height != s.size.Y {
			return nil, &Error{Kind: ErrChoice, Reason: "the channels or slices differ in their size: choose one"}
		}
		s.windows.Lock()
		defer s.windows.Unlock()
		w := s.windows.byPlane[index]
		if w == nil {
			var err error
			if w, err = tiff.NewWindows(p, sourceBytes/len(s.g.planes)); err != nil {
				return nil, err
			}
			s.windows.byPlane[index] = w
		}
		return w.Page(stored), nil
	}
	return t.readGroup(s.g, s.o)
}

// stored returns where a part of a turned picture is in the stored one of a size.
func (t turning) stored(r image.Rectangle, size image.Point) image.Rectangle {
	if t <= upright || t > 8 {
		return r
	}
	if t > 4 { // the rows of the one are the columns of the other
		r = image.Rect(r.Min.Y, r.Min.X, r.Max.Y, r.Max.X)
	}
	if slices.Contains([]turning{2, 3, 7, 8}, t) {
		r.Min.X, r.Max.X = size.X-r.Max.X, size.X-r.Min.X
	}
	if slices.Contains([]turning{3, 4, 6, 7}, t) {
		r.Min.Y, r.Max.Y = size.Y-r.Max.Y, size.Y-r.Min.Y
	}
	return r
}

// changedBy returns what a function makes of a picture; of a Source, one whose regions it
// changes.
func changedBy(img image.Image, f func(image.Image) image.Image) image.Image {
	s, ok := img.(*Source)
	if !ok {
		return f(img)
	}
	out := *s
	out.changed, out.like = append(slices.Clip(s.changed), f), f(s.like)
	return &out
}

// bands calls f with the picture in pieces from the top until it returns false: with all rows,
// or at least every step-th, which are then the rows of a band that are multiples of step from
// its first. The first error is kept in failed and ends it.
func (s *Source) bands(step int, f func(band image.Image) bool) {
	b := s.Bounds()
	rows, next := 1, step
	if step <= bandRows {
		rows = bandRows / step * step
		next = rows
	}
	for y := 0; y < b.Dy(); y += next {
		m, err := s.Region(image.Rect(0, y, b.Dx(), y+rows))
		if err != nil {
			*s.failed = fmt.Errorf("rows from %d on: %w", y, err)
			return
		}
		if !f(m) {
			return
		}
	}
}

// bandRows is the height of the bands in which a source is read from top to bottom: that of
// usual tiles.
const bandRows = 256
