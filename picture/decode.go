package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // the formats that Decode reads
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"

	"golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/pngrepair"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/tiff"
)

// Open reads the picture in the file at path, as Decode does, and names the file in errors.
func Open(path string, o Options) (*Picture, error) {
	var p *Picture
	err := withFile(path, func(r io.Reader) (err error) {
		p, err = Decode(r, o)
		return err
	})
	return p, err
}

// withFile opens the file at path for f, and names it in errors.
func withFile(path string, f func(r io.Reader) error) error {
	file, err := openFile(path)
	if err != nil {
		return named(path, err)
	}
	defer file.Close()
	return named(path, f(file))
}

func openFile(path string) (io.ReadCloser, error) {
	if path == "" {
		return nil, &Error{Kind: ErrRead, Reason: "the path is empty", Err: fs.ErrNotExist}
	}
	file, err := regular.OpenStream(path)
	if err != nil {
		return nil, readError(err)
	}
	return file, nil
}

// Decode reads a picture from the current position of r. A reader that cannot seek is
// read into memory first. The result is upright, as its EXIF data says. Errors are of type
// [*Error].
func Decode(r io.Reader, o Options) (*Picture, error) {
	source, t, o, err := begin(r, o)
	if err != nil {
		return nil, err
	}
	if t != nil {
		return t.read(o)
	}
	p, err := source.decode(o)
	if err != nil {
		return nil, err
	}
	return p.normalized(o)
}

// begin checks the options, completes them and opens the source; t is nil unless it is a TIFF file.
func begin(r io.Reader, given Options) (source *seekable, t *tiffFile, o Options, err error) {
	o = given.withDefaults()
	if err = o.validate(); err != nil {
		return nil, nil, o, err
	}
	if nilcheck.Is(r) {
		return nil, nil, o, &Error{Kind: ErrEmpty, Reason: "the reader is nil"}
	}
	if source, err = rewindable(r, o.MaxBytes); err == nil {
		t, err = source.tiff(o)
	}
	return source, t, o, err
}

// normalized notes which channels p has, and brings it to 8 bits if the options say so.
func (p *Picture) normalized(o Options) (*Picture, error) {
	p.held = heldChannels(p.Channels, o.Channels)
	if o.Normalize == "" {
		return p, nil
	}
	return p.Normalized(o.Normalize)
}

// decode reads a picture with the decoders of package image. Samples of more than 8 bits keep
// them.
func (s *seekable) decode(o Options) (*Picture, error) {
	if n := max(o.Page, o.Z, o.Time, o.Scene); n > 1 {
		return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no page, slice, time or scene %d: the file has one", n)}
	}
	if o.Level > 0 {
		return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("there is no level %d: only TIFF files have smaller copies", o.Level)}
	}
	if s.isJPEG() {
		return s.jpeg(o)
	}
	header, format, err := image.DecodeConfig(s)
	if errors.Is(err, image.ErrFormat) || errors.Is(err, bmp.ErrUnsupported) {
		if err := s.rewind(); err != nil {
			return nil, err
		}
		if p, err := s.plain(o); p != nil || err != nil {
			return p, err
		}
	}
	if err == nil {
		err = o.check(header)
	}
	if err == nil {
		err = s.believed(header, format)
	}
	var img image.Image
	var turn turning
	if err == nil {
		if err := s.rewind(); err != nil {
			return nil, err
		}
		turn = orientation(s, format)
		if err := s.rewind(); err != nil {
			return nil, err
		}
		if img, _, err = image.Decode(s); err != nil && format == "png" && pngrepair.Repairable(err) {
			img, err = s.repaired(err)
		}
	}
	if format == "webp" && err != nil {
		img, header, err = s.animated(o, err)
	}
	if err != nil {
		return nil, decodeError(err, s.ended)
	}
	if img.Bounds().Empty() {
		return nil, &Error{Kind: ErrEmpty, Reason: "no pixels"}
	}
	p := &Picture{Format: format, Bits: 8, Pages: 1, Page: 1, Channels: colourNames}
	if format == "gif" || format == "png" || format == "webp" {
		if err := s.rewind(); err != nil {
			return nil, err
		}
		if format == "gif" {
			img = gifFrame(img, image.Rect(0, 0, header.Width, header.Height), s)
			if err := s.rewind(); err != nil {
				return nil, err
			}
		}
		if n := frames(s, format); n > 1 {
			p.note(fmt.Sprintf("of an animation of %d frames the first was taken", n))
		}
	}
	if header.ColorModel == color.GrayModel || header.ColorModel == color.Gray16Model {
		p.Channels = greyNames
	}
	chosen, err := pickChannels(p.Channels, o.Channels)
	if err != nil {
		return nil, err
	}
	rows := func() rowReader { return rgbaRowsOf(img, format == "webp") }
	switch {
	case isDeep(img):
		p.Bits = 16
		r := rasterOf(img)
		if len(p.Channels) == 1 && chosen != nil {
			r = selectChannels(r, make([]int, len(chosen)))
		} else {
			r = selectChannels(r, chosen)
		}
		p.Image = imageOf(turn.turned(r))
		return p, nil
	case header.ColorModel == nil: // a frame of an animation
		p.Image = turn.apply(rows, img.Bounds(), image.Rect(0, 0, header.Width, header.Height))
	case turn <= upright && isPlain(img):
		p.Image = img
	default:
		p.Image = turn.apply(rows, img.Bounds(), img.Bounds())
	}
	if chosen != nil {
		p.Image = imageOf(selectChannels(rasterOf(p.Image), chosen))
	}
	return p, nil
}

// repaired reads a PNG file that package image/png refuses for a cause that is pngrepair.Repairable.
func (s *seekable) repaired(cause error) (image.Image, error) {
	ended := s.ended
	if err := s.rewind(); err != nil {
		return nil, err
	}
	data, err := s.all()
	s.ended = ended
	if err != nil {
		return nil, err
	}
	if img, err := pngrepair.Repair(data, cause); err == nil {
		return img, nil
	}
	return nil, cause
}

// animated reads the first frame of an animated WebP, within its canvas. If it is not one the
// error is the given one.
func (s *seekable) animated(o Options, cause error) (image.Image, image.Config, error) {
	ended := s.ended
	if err := s.rewind(); err != nil {
		return nil, image.Config{}, err
	}
	frame, canvas, err := firstFrame(s, o)
	s.ended = ended
	if err == nil && frame == nil {
		err = cause
	}
	return frame, image.Config{Width: canvas.Dx(), Height: canvas.Dy()}, err
}

// isPlain reports whether img is what [Picture] holds of 8 bits.
func isPlain(img image.Image) bool {
	m, ok := img.(*image.RGBA)
	return ok && m.Rect.Min == image.Point{} && m.Stride == 4*m.Rect.Dx() && m.Opaque()
}

// seekable is a reader that goes back to where it started and remembers whether it
// reached its end: not every decoder says so when it fails. It
// hides ReadAt, which would count from the start of the file.
type seekable struct {
	io.ReadSeeker
	start, size int64
	ended       bool
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

// all reads what is left.
func (s *seekable) all() ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, s.size+bytes.MinRead))
	if _, err := b.ReadFrom(s); err != nil {
		return nil, readError(err)
	}
	return b.Bytes(), nil
}

func rewindable(r io.Reader, limit int64) (*seekable, error) {
	if s, ok := r.(io.ReadSeeker); ok {
		if start, err := s.Seek(0, io.SeekCurrent); err == nil {
			end, err := s.Seek(0, io.SeekEnd)
			if err != nil {
				return nil, readError(err)
			}
			if end <= start {
				return nil, &Error{Kind: ErrEmpty, Reason: "no bytes"}
			}
			source := &seekable{ReadSeeker: s, start: start, size: end - start}
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
	return &seekable{ReadSeeker: bytes.NewReader(data), size: int64(len(data))}, nil
}

// tiff opens the source if it is a TIFF file, and returns nil if it is another picture.
func (s *seekable) tiff(o Options) (*tiffFile, error) {
	header := make([]byte, 512)
	n, err := io.ReadFull(s, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, readError(err)
	}
	header = header[:n]
	if advice := foreignFormat(header); advice != "" {
		return nil, &Error{Kind: ErrFormat, Reason: advice}
	}
	if err := s.rewind(); err != nil {
		return nil, err
	}
	at, random := s.ReadSeeker.(io.ReaderAt)
	if !tiff.Is(header) || !random {
		if s.size > o.MaxBytes {
			return nil, &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d bytes, the limit is %d", s.size, o.MaxBytes)}
		}
	}
	switch {
	case !tiff.Is(header):
		return nil, nil
	case random:
		return openTIFF(io.NewSectionReader(at, s.start, s.size), s.size)
	}
	data, err := s.all()
	if err != nil {
		return nil, err
	}
	return openTIFF(bytes.NewReader(data), int64(len(data)))
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
	var known *Error
	if errors.As(err, &known) {
		return err
	}
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
