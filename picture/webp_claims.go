package picture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"image"
	"io"

	"golang.org/x/image/riff"
	"golang.org/x/image/vp8"
)

// webpBytes returns how many bytes a WebP file claims to have, of which its decoder makes room for up to 16 MB.
func webpBytes(r io.Reader) int64 {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(head[4:]))
}

// webpPixels reports whether a WebP file of size bytes has the pixels of the canvas that it
// claims. An animation's pixels are looked at with its frame.
func webpPixels(r io.Reader, size int64) (bool, error) {
	_, chunks, err := riff.NewReader(r)
	if err != nil {
		return false, err
	}
	var canvas image.Point
	for {
		id, length, data, err := chunks.Next()
		if err != nil {
			return err == io.EOF, ignoreEOF(err) // the decoder says what is missing
		}
		switch string(id[:]) {
		case "VP8X":
			var head [10]byte
			if _, err := io.ReadFull(data, head[:]); err != nil {
				return false, err
			}
			canvas = image.Pt(1+three(head[4:]), 1+three(head[7:]))
		case "ALPH":
			method := make([]byte, 1)
			if _, err := io.ReadFull(data, method); err != nil {
				return false, err
			}
			whole, err := int64(length) > int64(canvas.X)*int64(canvas.Y), error(nil)
			if method[0]&3 == 1 {
				whole, err = losslessPixels(data, canvas.X, canvas.Y)
			}
			if err != nil || !whole {
				return whole, err
			}
		case "VP8L":
			in := bufio.NewReader(data)
			head, err := in.Peek(5)
			if err != nil {
				return false, err
			}
			bits := binary.LittleEndian.Uint32(head[1:])
			if _, err := in.Discard(5); err != nil {
				return false, err
			}
			return losslessPixels(in, int(bits&0x3fff)+1, int(bits>>14&0x3fff)+1)
		case "VP8 ":
			if int64(length) > size {
				return false, nil
			}
			body := make([]byte, length)
			n, err := io.ReadFull(data, body)
			if ignoreEOF(err) != nil {
				return false, err
			}
			return lossyPixels(body[:n], size), nil
		case "ANMF":
			return true, nil
		}
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// lossyPixels reports whether a VP8 frame has at least a quarter of the rows that it claims. Rows
// follow each other, so a frame of less height is decoded, and one of four times that when it is
// there.
func lossyPixels(frame []byte, size int64) bool {
	if len(frame) < 10 {
		return false
	}
	word := func(at int) int { return int(binary.LittleEndian.Uint16(frame[at:]) & 0x3fff) }
	width, height := word(6), word(8)
	rows := height
	for rows > 1 && costly(2*int64(width)*int64(rows), size) {
		rows /= 4
	}
	for d := vp8.NewDecoder(); rows < height; rows *= 4 {
		binary.LittleEndian.PutUint16(frame[8:], uint16(max(rows, 1)))
		d.Init(bytes.NewReader(frame), len(frame))
		if _, err := d.DecodeFrameHeader(); err != nil {
			return false
		}
		if _, err := d.DecodeFrame(); err != nil {
			return false
		}
		if rows == 0 {
			return true
		}
	}
	return true
}
