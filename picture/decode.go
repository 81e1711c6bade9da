package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // the formats that Decode reads
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"
	"math"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/tiff"
	_ "golang.org/x/image/webp"

	"github.com/diffusioninst/go/internal/regular"
)

// Options bounds the pictures that are read. The zero value of a field means its default,
// a negative one no bound.
type Options struct {
	MaxPixels int   // greatest width × height: 100 million, 400 MB once decoded
	MaxSide   int   // greatest width and height: 65535, which is the most that JPEG and GIF can have
	MaxBytes  int64 // greatest size of the file: 1 GiB
}

func (o Options) withDefaults() Options {
	if o.MaxPixels == 0 {
		o.MaxPixels = 100_000_000
	}
	if o.MaxSide == 0 {
		o.MaxSide = 65535
	}
	switch {
	case o.MaxBytes == 0:
		o.MaxBytes = 1 << 30
	case o.MaxBytes < 0:
		o.MaxBytes = math.MaxInt64 - 1
	}
	return o
}

// Open reads the picture in the file at path, as Decode does, and names the file in errors.
func Open(path string, o Options) (*image.RGBA, error) {
	img, err := open(path, o)
	if err != nil {
		return nil, named(path, err)
	}
	return img, nil
}

func open(path string, o Options) (*image.RGBA, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		return nil, readError(err)
	}
	defer f.Close()
	return Decode(f, o)
}

// Decode reads a picture from the current position of r. A reader that cannot seek is
// read into memory first. The result is opaque, turned upright as its EXIF data says, and
// its bounds start at (0, 0). Errors are of type [*Error].
func Decode(r io.Reader, o Options) (*image.RGBA, error) {
	o = o.withDefaults()
	source, err := rewindable(r, o.MaxBytes)
	if err != nil {
		return nil, err
	}
	header, format, err := image.DecodeConfig(source)
	if err != nil {
		return nil, decodeError(err, source.ended)
	}
	if err := o.check(header); err != nil {
		return nil, err
	}
	if err := source.rewind(); err != nil {
		return nil, err
	}
	turn := orientation(source, format)
	if err := source.rewind(); err != nil {
		return nil, err
	}
	img, _, err := image.Decode(source)
	if err != nil {
		return nil, decodeError(err, source.ended)
	}
	if img.Bounds().Empty() {
		return nil, &Error{Kind: ErrEmpty, Reason: "no pixels"}
	}
	frame := image.Rect(0, 0, header.Width, header.Height)
	if format != "gif" {
		frame = img.Bounds()
	}
	return turn.apply(rowsOf(img, format == "webp"), img.Bounds(), frame), nil
}

func (o Options) check(c image.Config) error {
	switch {
	case c.Width <= 0 || c.Height <= 0:
		return &Error{Kind: ErrEmpty, Reason: fmt.Sprintf("%d×%d pixels", c.Width, c.Height)}
	case o.MaxSide > 0 && max(c.Width, c.Height) > o.MaxSide:
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d×%d pixels, the limit is %d per side", c.Width, c.Height, o.MaxSide)}
	case o.MaxPixels > 0 && c.Width > o.MaxPixels/c.Height:
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d×%d pixels, the limit is %d pixels", c.Width, c.Height, o.MaxPixels)}
	}
	return nil
}

// seekable is a reader that goes back to where it started and remembers whether it
// reached its end: not every decoder says so when it fails. It
// hides ReadAt, which would count from the start of the file.
type seekable struct {
	io.ReadSeeker
	start int64
	ended bool
}

func (s *seekable) Read(p []byte) (int, error) {
	n, err := s.ReadSeeker.Read(p)
	s.ended = s.ended || err == io.EOF
	return n, err
}

func (s *seekable) rewind() error {
	s.ended = false
	if _, err := s.Seek(s.start, io.SeekStart); err != nil {
		return readError(err)
	}
	return nil
}

func rewindable(r io.Reader, limit int64) (*seekable, error) {
	tooLarge := func(n int64) error {
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d bytes, the limit is %d", n, limit)}
	}
	if s, ok := r.(io.ReadSeeker); ok {
		if start, err := s.Seek(0, io.SeekCurrent); err == nil {
			end, err := s.Seek(0, io.SeekEnd)
			if err != nil {
				return nil, readError(err)
			}
			if end <= start {
				return nil, &Error{Kind: ErrEmpty, Reason: "no bytes"}
			}
			if end-start > limit {
				return nil, tooLarge(end - start)
			}
			source := &seekable{ReadSeeker: s, start: start}
			return source, source.rewind()
		}
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, readError(err)
	case len(data) == 0:
		return nil, &Error{Kind: ErrEmpty, Reason: "no bytes"}
	case int64(len(data)) > limit:
		return nil, &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("more than %d bytes, which is the limit", limit)}
	}
	return &seekable{ReadSeeker: bytes.NewReader(data)}, nil
}

func readError(err error) error {
	reason := err.Error()
	var p *fs.PathError
	if errors.As(err, &p) {
		reason = p.Err.Error()
	}
	return &Error{Kind: ErrRead, Reason: reason, Err: err}
}

func decodeError(err error, ended bool) error {
	kind := ErrCorrupt
	switch {
	case errors.Is(err, image.ErrFormat):
		return &Error{Kind: ErrFormat}
	case ended, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		kind = ErrTruncated
	}
	return &Error{Kind: kind, Reason: err.Error(), Err: err}
}

func named(path string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Path = path
	}
	return err
}
