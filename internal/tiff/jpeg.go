package tiff

import "fmt"

// picture decodes a chunk that is a picture of its own.
func (r *reader) picture(offset, length uint64, rows int) ([]byte, error) {
	codec := r.codecs[r.Compression]
	if r.Compression == CompressOldJPEG {
		codec = r.codecs[CompressJPEG]
	}
	if codec == nil {
		return nil, fmt.Errorf("compression %d: %w", r.Compression, ErrUnsupported)
	}
	if r.Bits != 8 || r.Format != Unsigned {
		return nil, fmt.Errorf("compression %d of samples of %d bits: %w", r.Compression, r.Bits, ErrUnsupported)
	}
	if err := r.load(offset, length); err != nil {
		return nil, err
	}
	stream := r.raw
	if r.Compression == CompressJPEG {
		tables, _, err := r.file.raw(r.dir, tagJPEGTables)
		if err != nil {
			return nil, err
		}
		stream = withTables(stream, tables)
	}
	pix, w, h, samples, err := codec(stream, r.Photometric, max(r.chunkW, r.Width), max(r.chunkH, rows))
	switch {
	case err != nil:
		return nil, err
	case samples != r.samples || w < r.chunkW && w < r.Width || h < rows:
		return nil, fmt.Errorf("a chunk of %d×%d pixels of %d samples, want %d×%d of %d", w, h, samples, r.chunkW, rows, r.samples)
	case w == r.chunkW:
		return pix, nil
	}
	// Wider or narrower than the tags say: laid out anew.
	row := r.chunkW * samples
	out := make([]byte, row*h)
	for y := range h {
		copy(out[y*row:][:row], pix[y*w*samples:][:w*samples])
	}
	return out, nil
}

// withTables puts tables that chunks share behind the first marker of one.
func withTables(stream, tables []byte) []byte {
	if len(tables) < 4 || len(stream) < 2 {
		return stream
	}
	out := append([]byte(nil), tables[:len(tables)-2]...) // without the marker of the end
	return append(out, stream[2:]...)
}

// oldJPEG finds the whole JPEG file that writers of compression 6 mostly put into the TIFF.
func (r *reader) oldJPEG() error {
	at, err := r.file.integers(r.dir, tagJPEGOffset)
	if err != nil {
		return err
	}
	length, err := r.file.integers(r.dir, tagJPEGBytes)
	if err != nil {
		return err
	}
	if len(at) != 1 || at[0] >= uint64(r.file.size) {
		return fmt.Errorf("compression 6 (old JPEG) without a JPEG file: %w; save it with LZW or deflate", ErrUnsupported)
	}
	r.offsets, r.bytes = at, length
	if len(length) != 1 || length[0] == 0 || length[0] > uint64(r.file.size)-at[0] {
		r.bytes = []uint64{uint64(r.file.size) - at[0]}
	}
	own := *r.Page // others may read the page, too
	own.tiled, own.chunkW, own.chunkH = false, r.Width, r.Height
	r.Page = &own
	return nil
}
