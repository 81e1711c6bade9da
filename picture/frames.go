package picture

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"

	"golang.org/x/image/riff"
)

// frames counts the pictures of an animation, as far as its blocks can be read.
func frames(r io.Reader, format string) int {
	switch format {
	case "gif":
		n := 0
		_ = gifBlocks(&discarding{bufio.NewReader(r)}, func() { n++ })
		return n
	case "png":
		return pngFrames(bufio.NewReader(r))
	case "webp":
		return webpFrames(r)
	}
	return 1
}

// pngFrames reads the chunk acTL, which stands before the pixels of an animated PNG.
func pngFrames(r *bufio.Reader) int {
	if _, err := r.Discard(8); err != nil {
		return 1
	}
	for {
		var head [12]byte
		if _, err := io.ReadFull(r, head[:8]); err != nil {
			return 1
		}
		n, kind := binary.BigEndian.Uint32(head[:]), string(head[4:8])
		if kind == "acTL" && n >= 8 {
			if _, err := io.ReadFull(r, head[:4]); err != nil {
				return 1
			}
			return int(binary.BigEndian.Uint32(head[:]))
		}
		if kind == "IDAT" || strings.Contains(kind, "\x00") {
			return 1
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)+4); err != nil {
			return 1
		}
	}
}

func webpFrames(r io.Reader) int {
	_, chunks, err := riff.NewReader(r)
	n := 0
	for err == nil {
		var id riff.FourCC
		if id, _, _, err = chunks.Next(); err == nil && id == (riff.FourCC{'A', 'N', 'M', 'F'}) {
			n++
		}
		if n == 0 && (id == riff.FourCC{'V', 'P', '8', ' '} || id == riff.FourCC{'V', 'P', '8', 'L'}) {
			return 1
		}
	}
	return n
}

// A taker hands out the next bytes of a file.
type taker interface {
	take(n int64) error             // passes over n bytes
	copied(n int64) ([]byte, error) // returns n bytes, until the next call
}

// discarding is a taker that keeps nothing.
type discarding struct{ *bufio.Reader }

func (d *discarding) take(n int64) error {
	_, err := io.CopyN(io.Discard, d.Reader, n)
	return err
}

func (d *discarding) copied(n int64) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(d.Reader, b)
	return b, err
}

// gifBlocks takes the blocks of a GIF up to the trailer, and calls frame at each picture.
func gifBlocks(s taker, frame func()) error {
	head, err := s.copied(13)
	if err != nil {
		return err
	}
	if err := s.take(gifTableSize(head[10])); err != nil {
		return err
	}
	for {
		kind, err := s.copied(1)
		if err != nil {
			return err
		}
		switch kind[0] {
		case 0x21: // an extension
			err = s.take(1)
		case 0x2c:
			frame()
			var place []byte
			if place, err = s.copied(9); err == nil {
				err = s.take(gifTableSize(place[8]))
			}
			if err == nil {
				err = s.take(1)
			}
		default: // the trailer, or damage
			return nil
		}
		if err == nil {
			err = gifSubBlocks(s)
		}
		if err != nil {
			return err
		}
	}
}
