package tiff

import (
	"fmt"
	"math"
)

// A Raster is decoded pixels, row by row, with the samples of a pixel side by side. One of
// the slices holds them.
type Raster struct {
	Width, Height, Samples int

	U8  []uint8   // unsigned samples of up to 8 bits
	U16 []uint16  // unsigned samples of 9 to 16 bits
	F64 []float64 // all others
}

// Read decodes the given samples of each pixel, in that order. Samples are left as they are
// stored, except that a chunk which is a JPEG or WebP picture gives RGB in place of YCbCr.
func (p *Page) Read(samples []int, codecs map[int]Codec) (*Raster, error) {
	for _, s := range samples {
		if s < 0 || s >= p.Samples {
			return nil, fmt.Errorf("there is no sample %d among %d", s, p.Samples)
		}
	}
	if !p.planar {
		r := &reader{Page: p, codecs: codecs, samples: p.Samples, wanted: samples}
		return r.read()
	}
	var planes []*Raster
	for _, s := range samples {
		r := &reader{Page: p, codecs: codecs, samples: 1, wanted: []int{0}, plane: s}
		plane, err := r.read()
		if err != nil {
			return nil, err
		}
		planes = append(planes, plane)
	}
	if len(planes) == 1 {
		return planes[0], nil
	}
	out, _ := Interleave(planes)
	return out, nil
}

// Interleave joins planes of one sample per pixel. It reports whether they are alike, which
// they must be.
func Interleave(planes []*Raster) (*Raster, bool) {
	for _, p := range planes {
		if a := planes[0]; len(p.U8) != len(a.U8) || len(p.U16) != len(a.U16) || len(p.F64) != len(a.F64) || p.Width != a.Width || p.Samples != 1 {
			return nil, false
		}
	}
	out := &Raster{Width: planes[0].Width, Height: planes[0].Height, Samples: len(planes)}
	for i, p := range planes {
		out.U8, out.U16, out.F64 = weave(out.U8, p.U8, i, len(planes)), weave(out.U16, p.U16, i, len(planes)), weave(out.F64, p.F64, i, len(planes))
	}
	return out, true
}

func weave[T any](out, plane []T, at, of int) []T {
	if out == nil && plane != nil {
		out = make([]T, of*len(plane))
	}
	for _, v := range plane {
		out[at] = v
		at += of
	}
	return out
}

// reader decodes the chunks of a page, or of one plane of it.
type reader struct {
	*Page
	codecs         map[int]Codec
	samples        int // of a pixel in a chunk
	wanted         []int
	plane          int
	offsets, bytes []uint64
	raw            []byte
	inflaters
}

func (r *reader) read() (*Raster, error) {
	if r.window != nil {
		return r.window.read(r)
	}
	if r.Compression == CompressOldJPEG {
		if err := r.oldJPEG(); err != nil {
			return nil, err
		}
	}
	across, down := (r.Width+r.chunkW-1)/r.chunkW, (r.Height+r.chunkH-1)/r.chunkH
	if err := r.chunks(across * down); err != nil {
		return nil, err
	}
	out := &Raster{Width: r.Width, Height: r.Height, Samples: len(r.wanted)}
	band := make([][]byte, across)
	for j := range down {
		rows := min(r.chunkH, r.Height-j*r.chunkH)
		stored := rows
		if r.tiled {
			stored = r.chunkH
		}
		var rowBytes int
		for i := range band {
			var err error
			if band[i], rowBytes, err = r.chunk(band[i][:0], j*across+i, stored, rows); err != nil {
				return nil, err
			}
		}
		r.reserve(out, rows*r.Width*len(r.wanted))
		for y := range rows {
			for i, chunk := range band {
				r.appendRow(out, chunk[y*rowBytes:][:rowBytes], min(r.chunkW, r.Width-i*r.chunkW))
			}
		}
	}
	return out, nil
}

// reserve makes room in the raster for more samples.
func (r *reader) reserve(out *Raster, more int) {
	all := r.Width * r.Height * len(r.wanted)
	switch {
	case r.Format == Unsigned && r.Bits <= 8:
		out.U8 = grow(out.U8, more, all)
	case r.Format == Unsigned && r.Bits <= 16:
		out.U16 = grow(out.U16, more, all)
	default:
		out.F64 = grow(out.F64, more, all)
	}
}

// grow makes room for more elements of a slice that has all in the end. It doubles: what a file
// claims is not believed before its bytes have come, and append would copy more often.
func grow[T any](s []T, more, all int) []T {
	need := len(s) + more
	if need <= cap(s) {
		return s
	}
	return append(make([]T, 0, max(need, min(2*cap(s), all))), s...)
}

// chunks reads where the n chunks of the plane are.
func (r *reader) chunks(n int) error {
	if r.Compression == CompressOldJPEG {
		return nil
	}
	f, d := r.file, r.dir
	offsets, lengths := uint16(tagStripOffsets), uint16(tagStripBytes)
	if r.tiled {
		offsets, lengths = tagTileOffsets, tagTileBytes
		if _, ok := d.find(offsets); !ok {
			offsets, lengths = tagStripOffsets, tagStripBytes
		}
	}
	var err error
	if r.offsets, err = f.integers(d, offsets); err != nil {
		return err
	}
	if r.bytes, err = f.integers(d, lengths); err != nil {
		return err
	}
	first := r.plane * n
	if len(r.offsets) < first+n {
		return fmt.Errorf("%d chunks of pixels, want %d: %w", len(r.offsets), first+n, ErrTruncated)
	}
	r.offsets = r.offsets[first:][:n]
	for i := range r.offsets {
		r.offsets[i] += r.moved
	}
	if len(r.bytes) < first+n {
		r.bytes = make([]uint64, first+n) // some old writers leave them out
	}
	r.bytes = r.bytes[first:][:n]
	total := uint64(0)
	for i, b := range r.bytes {
		if b == 0 && r.offsets[i] != 0 && r.offsets[i] < uint64(f.size) {
			r.bytes[i] = uint64(f.size) - r.offsets[i]
			if i+1 < n && r.offsets[i+1] > r.offsets[i] {
				r.bytes[i] = min(r.bytes[i], r.offsets[i+1]-r.offsets[i])
			}
		}
		total += min(r.bytes[i], uint64(f.size))
	}
	if r.Compression != compressNone && total > 4*uint64(f.size)+1<<20 {
		return fmt.Errorf("chunks of %d bytes in a file of %d", total, f.size)
	}
	return nil
}

// chunk appends the rows of a chunk, of which a strip at the end may be short: at least
// needed ones.
func (r *reader) chunk(dst []byte, index, rows, needed int) ([]byte, int, error) {
	bits := float64(r.chunkW) * float64(r.samples) * float64(r.Bits)
	if bits*float64(rows) > 1<<43 {
		return nil, 0, fmt.Errorf("chunks of %d×%d pixels", r.chunkW, rows)
	}
	rowBytes := (r.chunkW*r.samples*r.Bits + 7) / 8
	limit := rows * rowBytes
	offset, length := r.offsets[index], r.bytes[index]
	if offset == 0 && length == 0 && r.tiled { // left out, as it is empty
		for len(dst) < limit {
			dst = append(dst, 0)
		}
		return dst, rowBytes, nil
	}
	subsampled := r.subX*r.subY > 1
	switch {
	case r.Compression == CompressJPEG, r.Compression == CompressWebP, r.Compression == CompressOldJPEG:
		pix, err := r.picture(offset, length, needed)
		return pix, rowBytes, err
	case subsampled:
		limit = (r.chunkW + r.subX - 1) / r.subX * ((rows + r.subY - 1) / r.subY) * (r.subX*r.subY + 2)
	}
	if r.Compression == compressNone {
		length = min(length, uint64(limit))
	}
	if err := r.load(offset, length); err != nil {
		return nil, 0, err
	}
	dst, err := r.decompress(dst, r.raw, limit, rows)
	if err != nil {
		return nil, 0, err
	}
	if subsampled {
		if dst, err = r.spreadChroma(dst, rows); err != nil {
			return nil, 0, err
		}
	}
	if len(dst) < needed*rowBytes {
		return nil, 0, fmt.Errorf("%d of %d bytes of pixels: %w", len(dst), needed*rowBytes, ErrTruncated)
	}
	switch r.Compression {
	case compressLZW, compressAdobe, compressDeflate, compressZstd, compressLZMA:
		err = r.predict(dst, rowBytes, r.samples)
	}
	return dst, rowBytes, err
}

// load reads bytes of the file into r.raw.
func (r *reader) load(offset, length uint64) error {
	if offset > uint64(r.file.size) || length > uint64(r.file.size)-offset {
		return ErrTruncated
	}
	if uint64(cap(r.raw)) < length {
		r.raw = make([]byte, length)
	}
	r.raw = r.raw[:length]
	if length == 0 {
		return nil
	}
	n, err := r.file.r.ReadAt(r.raw, int64(offset))
	if n == len(r.raw) {
		err = nil
	}
	return err
}

// spreadChroma makes three samples per pixel of the blocks of YCbCr with smaller chroma:
// subX·subY samples of luma, then one each of Cb and Cr.
func (r *reader) spreadChroma(blocks []byte, rows int) ([]byte, error) {
	if r.Bits != 8 {
		return nil, fmt.Errorf("YCbCr of %d bits with smaller chroma: %w", r.Bits, ErrUnsupported)
	}
	size := r.subX*r.subY + 2
	across := (r.chunkW + r.subX - 1) / r.subX
	rows = min(rows, len(blocks)/(across*size)*r.subY)
	out := make([]byte, 3*r.chunkW*rows)
	for y := range rows {
		for x := range r.chunkW {
			block := blocks[(y/r.subY*across+x/r.subX)*size:][:size]
			to := out[3*(y*r.chunkW+x):][:3]
			to[0], to[1], to[2] = block[y%r.subY*r.subX+x%r.subX], block[size-2], block[size-1]
		}
	}
	return out, nil
}

// Consecutive returns page as if it began k pages later in a file that has pixels of more
// pages behind this one's, without directories: large ImageJ stacks are so.
func (p *Page) Consecutive(k int) (*Page, error) {
	if p.Compression != compressNone || p.tiled {
		return nil, fmt.Errorf("a stack of one directory that is compressed: %w", ErrUnsupported)
	}
	size := float64(p.Height) * math.Ceil(float64(p.Width)*float64(p.Samples)*float64(p.Bits)/8)
	at, err := p.file.integers(p.dir, tagStripOffsets)
	if err != nil {
		return nil, err
	}
	if len(at) == 0 || float64(at[0])+float64(k+1)*size > float64(p.file.size) {
		return nil, ErrTruncated
	}
	moved := *p
	moved.moved = uint64(k) * uint64(size)
	return &moved, nil
}
