package picture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/tiff"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// A Stream reads pictures that follow each other, as ffmpeg -f image2pipe writes them: PNG,
// JPEG, BMP, GIF, WebP, and the raw forms of PNM and PAM, mixed at will. Zero bytes between them are passed over. One picture
// is held in memory at a time. A picture of another format, such as TIFF, takes all that
// follows, and is the last one: a picture behind a TIFF file is an error, behind one of another such
// format a warning, if it is plainly one.
type Stream struct {
	// AllPages makes the stream give each picture of a TIFF file with several, as function
	// Pages lists them. It is set before the first call of Next.
	AllPages bool

	r     *bufio.Reader
	o     Options
	limit int64
	one   bytes.Buffer // the picture that is read
	rest  bool         // it is all that follows
	begun bool         // Next was called
	err   error        // io.EOF once nothing more is read
	file  *tiffFile    // whose pages are left
	pages []Options
}

// NewStream returns a Stream of what r delivers. Options hold for each picture.
func NewStream(r io.Reader, o Options) *Stream {
	if nilcheck.Is(r) {
		r = strings.NewReader("")
	}
	return &Stream{r: bufio.NewReaderSize(r, 1<<16), o: o, limit: o.withDefaults().MaxBytes}
}

// Next returns the next picture, or io.EOF behind the last one. A picture that ends where it
// should and cannot be decoded is an error of its own, and the next call goes on behind it; a
// stream that is cut or too long ends.
func (s *Stream) Next() (*Picture, error) {
	if s == nil || s.r == nil {
		return nil, io.EOF
	}
	if len(s.pages) > 0 {
		return s.page()
	}
	if s.err != nil {
		return nil, s.err
	}
	s.one.Reset()
	if err := s.skipPadding(); err != nil {
		s.err = io.EOF
		if !errors.Is(err, io.EOF) {
			err = readError(err)
		}
		return nil, err
	}
	switch err := s.split(); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		s.err = io.EOF // whatever there is is decoded, which says what is missing
	case err != nil:
		s.err = io.EOF
		var known *Error
		if !errors.As(err, &known) {
			err = readError(err)
		}
		return nil, err
	}
	if tiff.Is(s.one.Bytes()) {
		return s.tiff()
	}
	p, err := Decode(bytes.NewReader(s.one.Bytes()), s.o)
	if err == nil && s.rest && p.Format != "ico" && another(s.one.Bytes()) { // icons hold PNG pictures
		p.Warnings = append(p.Warnings, "another picture follows this one, whose format ("+p.Format+") nothing marks the end of: what follows is not read")
	}
	return p, err
}

// tiff reads a TIFF file, which is the last of the stream.
func (s *Stream) tiff() (*Picture, error) {
	o := s.o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	data := s.one.Bytes()
	t, err := openTIFF(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	if followed(data[t.End():]) {
		return nil, &Error{Kind: ErrFormat, Reason: "a picture follows a TIFF file, which nothing marks the end of: read TIFF files one by one"}
	}
	if !s.AllPages {
		return t.read(o)
	}
	if s.pages, err = t.pages(o); err != nil {
		return nil, err
	}
	s.file = t
	return s.page()
}

// page reads the next page of a TIFF file.
func (s *Stream) page() (*Picture, error) {
	o := s.pages[0]
	s.pages = s.pages[1:]
	return s.file.read(o)
}

// followed reports whether the bytes behind a TIFF file are another picture.
func followed(rest []byte) bool {
	rest = bytes.TrimLeft(rest, "\x00")
	return tiff.Is(rest) || bytes.HasPrefix(rest, []byte(pngSignature)) || bytes.HasPrefix(rest, []byte("\xff\xd8\xff"))
}

// another reports whether the bytes of a picture, and of all that follows it, plainly hold a second one.
func another(data []byte) bool {
	if bytes.Contains(data[1:], []byte(pngSignature)) {
		return true
	}
	if magic := []byte("qoif"); bytes.HasPrefix(data, magic) {
		return bytes.Contains(data[4:], magic)
	}
	if !isPNM(data) {
		return false
	}
	for { // as text
		at := bytes.Index(data, []byte("\nP"))
		if at < 0 {
			return false
		}
		if data = data[at+1:]; isPNM(data) {
			return true
		}
	}
}

// skipPadding goes to the next byte that is not zero: cameras fill their frames up. The first picture
// may begin with zeros, as TGA and icons do.
func (s *Stream) skipPadding() error {
	if !s.begun {
		s.begun = true
		head, _ := s.r.Peek(128) // as much as there is
		if slices.ContainsFunc(plainFormats, func(f plainFormat) bool { return f.is(head) }) {
			return nil
		}
	}
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			return s.r.UnreadByte()
		}
	}
}

// split copies the bytes of one picture.
func (s *Stream) split() error {
	head, err := s.r.Peek(12)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte(pngSignature)):
		return s.png()
	case bytes.HasPrefix(head, []byte("\xff\xd8")):
		return s.jpeg()
	case bytes.HasPrefix(head, []byte("GIF8")):
		return gifBlocks(s, func() {})
	case bytes.HasPrefix(head, []byte("BM")) && len(head) >= 6 && little(head[2:]) >= 26:
		return s.take(little(head[2:]))
	case bytes.HasPrefix(head, []byte("RIFF")) && len(head) >= 8:
		return s.take(8 + little(head[4:]) + little(head[4:])%2)
	case isPNM(head) && (head[1] < '1' || head[1] > '3'):
		return s.pnm(head[1])
	}
	s.rest = true
	return s.take(s.limit + 1)
}

func little(b []byte) int64 { return int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16 | int64(b[3])<<24 }

// take copies n bytes.
func (s *Stream) take(n int64) error {
	if _, err := io.CopyN(&s.one, s.r, min(n, s.limit+1-int64(s.one.Len()))); err != nil {
		return err
	}
	if int64(s.one.Len()) > s.limit {
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("more than %d bytes, which is the limit", s.limit)}
	}
	return nil
}

// copied copies n bytes and returns them.
func (s *Stream) copied(n int64) ([]byte, error) {
	err := s.take(n)
	if err != nil {
		return nil, err
	}
	return s.one.Bytes()[s.one.Len()-int(n):], nil
}

// pnm copies a header of Netpbm and the pixels that it tells of.
func (s *Stream) pnm(kind byte) error {
	words := 3
	if kind == '4' {
		words = 2
	}
	if err := s.take(2); err != nil {
		return err
	}
	var comment, word bool
	for words > 0 {
		b, err := s.copied(1)
		switch {
		case err != nil:
			return err
		case s.one.Len() > 1<<12:
			return corrupt("a header of P%c of more than 4096 bytes", kind)
		case kind == '7':
			if bytes.HasSuffix(s.one.Bytes(), []byte("\nENDHDR\n")) {
				words = 0
			}
			continue
		}
		switch c := b[0]; {
		case c == '\n' || c == '\r':
			comment = false
		case c == '#':
			comment = true
		}
		inside := !comment && !isSpace(b[0])
		if word && !inside {
			words--
		}
		word = inside
	}
	h, _, err := pnmHeader(s.one.Bytes())
	if err != nil {
		return err
	}
	if float64(h.width)*float64(h.height)*float64(h.samples) > float64(min(s.limit, 1<<40)) {
		return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("%d×%d pixels, the limit is %d bytes", h.width, h.height, s.limit)}
	}
	return s.take(int64(h.size()))
}

// png copies chunks up to IEND.
func (s *Stream) png() error {
	if err := s.take(8); err != nil {
		return err
	}
	for {
		head, err := s.copied(8)
		if err != nil {
			return err
		}
		n := int64(head[0])<<24 | int64(head[1])<<16 | int64(head[2])<<8 | int64(head[3])
		end := string(head[4:8]) == "IEND"
		if err := s.take(n + 4); err != nil || end {
			return err
		}
	}
}

// jpeg copies segments up to the marker of the end. Between segments is coded data, which has
// no markers but restarts.
func (s *Stream) jpeg() error {
	if err := s.take(2); err != nil {
		return err
	}
	for {
		b, err := s.copied(1)
		if err != nil {
			return err
		}
		if b[0] != 0xff {
			continue
		}
		m := byte(0xff)
		for m == 0xff { // fill bytes
			if b, err = s.copied(1); err != nil {
				return err
			}
			m = b[0]
		}
		switch {
		case m == 0xd9:
			return nil
		case m == 0, m == 1, m >= 0xd0 && m <= 0xd8:
		default:
			size, err := s.copied(2)
			if err != nil {
				return err
			}
			if err := s.take(max(int64(size[0])<<8|int64(size[1]), 2) - 2); err != nil {
				return err
			}
		}
	}
}
