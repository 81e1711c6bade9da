package tiff

import (
	"container/list"
	"fmt"
	"image"
	"sync"
)

// Windows are parts of a page, of which only the strips or tiles that they need are decoded. The
// latest decoded ones are kept for the next windows, up to a number of bytes. Windows may be
// read concurrently.
type Windows struct {
	page   *Page
	mu     sync.Mutex
	places map[int]*reader // of each plane: where its chunks are

	most, held int                        // bytes
	kept       map[chunkKey]*list.Element // of order
	order      *list.List                 // of decodedChunk, the latest at the front
}

type decodedChunk struct {
	key chunkKey
	*Raster
}

// chunkKey is a decoded chunk: its plane and number, and the samples that were wanted.
type chunkKey struct {
	plane, index int
	wanted       string
}

// maxChunk bounds the samples of a strip or tile, which is decoded whole.
const maxChunk = 1 << 28

// NewWindows returns the windows of a page, which keep up to most bytes of decoded samples. A page whose
// strips are too large to be decoded one by one is an error.
func NewWindows(p *Page, most int) (*Windows, error) {
	if p.Compression == CompressOldJPEG {
		return nil, fmt.Errorf("compression 6 (old JPEG) of a page that is read in parts: %w; save it with tiles", ErrUnsupported)
	}
	if rows := p.thinStrip(); float64(p.chunkW)*float64(rows)*float64(p.Samples) > maxChunk {
		return nil, fmt.Errorf("strips or tiles of %d×%d pixels are too large to read the page in parts: save it with tiles", p.chunkW, rows)
	}
	return &Windows{page: p, most: most, places: map[int]*reader{}, kept: map[chunkKey]*list.Element{}, order: list.New()}, nil
}

// Page returns the part of the page in r, which lies inside it, as a page of its own.
func (w *Windows) Page(r image.Rectangle) *Page {
	p := *w.page
	p.Width, p.Height = r.Dx(), r.Dy()
	p.window = &pagePart{w, r}
	return &p
}

// Rows returns the height of the strips or tiles that are decoded one by one.
func (w *Windows) Rows() int { return w.page.thinStrip() }

// pagePart is the part of a page that a Page is.
type pagePart struct {
	*Windows
	rect image.Rectangle
}

// read decodes what the reader r wants of the window.
func (w *pagePart) read(r *reader) (*Raster, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	whole, err := w.plane(r)
	if err != nil {
		return nil, err
	}
	out := &Raster{Width: w.rect.Dx(), Height: w.rect.Dy(), Samples: len(r.wanted)}
	across := (whole.Width + whole.chunkW - 1) / whole.chunkW
	wanted := fmt.Sprint(r.wanted)
	for j := w.rect.Min.Y / whole.chunkH; j*whole.chunkH < w.rect.Max.Y; j++ {
		for i := w.rect.Min.X / whole.chunkW; i*whole.chunkW < w.rect.Max.X; i++ {
			chunk, err := w.chunk(whole, i, j, chunkKey{r.plane, j*across + i, wanted})
			if err != nil {
				return nil, err
			}
			out.put(chunk, image.Pt(i*whole.chunkW, j*whole.chunkH).Sub(w.rect.Min))
		}
	}
	return out, nil
}

// plane returns a reader of the whole page for what r wants of a plane.
func (w *Windows) plane(r *reader) (*reader, error) {
	place := w.places[r.plane]
	if place == nil {
		place = &reader{Page: w.page, samples: r.samples, plane: r.plane}
		across, down := (w.page.Width+w.page.chunkW-1)/w.page.chunkW, (w.page.Height+w.page.chunkH-1)/w.page.chunkH
		if err := place.chunks(across * down); err != nil {
			return nil, err
		}
		if rows := w.page.thinStrip(); rows < w.page.chunkH {
			place.cut(rows)
		}
		w.places[r.plane] = place
	}
	place.codecs, place.wanted = r.codecs, r.wanted
	return place, nil
}

// chunk decodes the chunk in column i and row j, or takes it from those that are kept.
func (w *Windows) chunk(r *reader, i, j int, key chunkKey) (*Raster, error) {
	if e, ok := w.kept[key]; ok {
		w.order.MoveToFront(e)
		return e.Value.(decodedChunk).Raster, nil
	}
	rows := min(r.chunkH, r.Height-j*r.chunkH)
	stored := rows
	if r.tiled {
		stored = r.chunkH
	}
	pix, rowBytes, err := r.chunk(nil, key.index, stored, rows)
	if err != nil {
		return nil, err
	}
	c := &Raster{Width: min(r.chunkW, r.Width-i*r.chunkW), Height: rows, Samples: len(r.wanted)}
	for y := range rows {
		r.appendRow(c, pix[y*rowBytes:][:rowBytes], c.Width)
	}
	w.held += c.bytes()
	for w.held > w.most && w.order.Len() > 0 {
		old := w.order.Remove(w.order.Back()).(decodedChunk)
		w.held -= old.bytes()
		delete(w.kept, old.key)
	}
	w.kept[key] = w.order.PushFront(decodedChunk{key, c})
	return c, nil
}

func (r *Raster) bytes() int { return len(r.U8) + 2*len(r.U16) + 8*len(r.F64) }

// put copies the part of a chunk that lies inside r, with the chunk's first pixel at a place.
func (r *Raster) put(chunk *Raster, at image.Point) {
	r.U8, r.U16, r.F64 = put(r, r.U8, chunk, chunk.U8, at), put(r, r.U16, chunk, chunk.U16, at), put(r, r.F64, chunk, chunk.F64, at)
}

func put[T any](r *Raster, out []T, chunk *Raster, from []T, at image.Point) []T {
	if from == nil {
		return out
	}
	n := r.Samples
	if out == nil {
		out = make([]T, r.Width*r.Height*n)
	}
	in := image.Rect(0, 0, chunk.Width, chunk.Height).Add(at).Intersect(image.Rect(0, 0, r.Width, r.Height))
	for y := in.Min.Y; y < in.Max.Y; y++ {
		copy(out[(y*r.Width+in.Min.X)*n:][:in.Dx()*n], from[((y-at.Y)*chunk.Width+in.Min.X-at.X)*n:])
	}
	return out
}

// thinStrip returns the height of the strips in which a page can be read: that of the page's
// own unless they are uncompressed and can be cut, as they are from the many programs that write
// a page in one strip.
func (p *Page) thinStrip() int {
	const most = 64
	if p.tiled || p.Compression != compressNone || p.subX*p.subY > 1 || p.chunkH <= most {
		return p.chunkH
	}
	rows := most
	for p.chunkH%rows != 0 && p.chunkH < p.Height { // strips begin where the page's do
		rows--
	}
	return rows
}

// cut replaces the places of strips by the places of thinner ones of so many rows.
func (r *reader) cut(rows int) {
	rowBytes := uint64((r.chunkW*r.samples*r.Bits + 7) / 8)
	var offsets, bytes []uint64
	for k, at := range r.offsets {
		left := min(r.chunkH, r.Height-k*r.chunkH)
		for ; left > 0; left -= rows {
			n := rowBytes * uint64(min(rows, left))
			offsets, bytes = append(offsets, at), append(bytes, n)
			at += n
		}
	}
	thin := *r.Page
	thin.chunkH = rows
	r.Page, r.offsets, r.bytes = &thin, offsets, bytes
}
