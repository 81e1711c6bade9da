// Package pngrepair decodes PNG files that libpng reads and package image/png does not, for what is wrong
// behind their pixels.
package pngrepair

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/png"
	"io"
)

const signature = "\x89PNG\r\n\x1a\n"

// Decode is png.Decode, but the end chunk may be missing, and data may follow the pixels in the
// compressed stream or behind it. Pixels that are missing or damaged are errors as ever.
func Decode(data []byte) (image.Image, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err == nil || !Repairable(err) {
		return img, err
	}
	return Repair(data, err)
}

// Repairable reports whether an error of png.Decode may be for what follows the pixels.
func Repairable(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || err == png.FormatError("too much pixel data")
}

// Repair decodes a file that png.Decode refuses with a cause that is Repairable, which it returns if the pixels
// are not all there.
func Repair(data []byte, cause error) (image.Image, error) {
	if plain := rewritten(data); plain != nil {
		return png.Decode(bytes.NewReader(plain))
	}
	return nil, cause
}

// rewritten returns a plain PNG file of the pixels in data, or nil if not all of them are there.
func rewritten(data []byte) []byte {
	var header, colours, pixels []byte
	out := []byte(signature)
	for rest := data[min(len(signature), len(data)):]; len(rest) >= 8; {
		length, kind := uint64(binary.BigEndian.Uint32(rest)), string(rest[4:8])
		if length+12 > uint64(len(rest)) {
			if kind == "IDAT" {
				return nil
			}
			break
		}
		body, sum := rest[8:8+length], binary.BigEndian.Uint32(rest[8+length:])
		if crc32.ChecksumIEEE(rest[4:8+length]) != sum {
			return nil
		}
		switch kind {
		case "IHDR":
			header = body
			out = append(out, rest[:12+length]...)
		case "PLTE", "tRNS":
			colours = append(colours, rest[:12+length]...)
		case "IDAT":
			pixels = append(pixels, body...)
		}
		rest = rest[12+length:]
	}
	if len(header) != 13 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(pixels))
	if err != nil {
		return nil
	}
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		return nil
	}
	if _, err := io.CopyN(w, z, rawBytes(header)); err != nil {
		return nil
	}
	if _, err := z.Read(make([]byte, 1)); errors.Is(err, zlib.ErrChecksum) {
		return nil
	}
	if err := w.Close(); err != nil {
		return nil
	}
	out = append(out, colours...)
	return appendChunk(appendChunk(out, "IDAT", packed.Bytes()), "IEND", nil)
}

func appendChunk(out []byte, kind string, body []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	start := len(out)
	out = append(append(out, kind...), body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

// adam7 are the passes of an interlaced picture: the first column and row, and the steps.
var adam7 = [][4]int64{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

// rawBytes returns how many bytes the pixels have, with a filter's number for each row.
func rawBytes(header []byte) int64 {
	w, h := int64(binary.BigEndian.Uint32(header)), int64(binary.BigEndian.Uint32(header[4:]))
	bits := int64(header[8])
	switch header[9] {
	case 2:
		bits *= 3
	case 4:
		bits *= 2
	case 6:
		bits *= 4
	}
	if header[12] == 0 {
		return h * (1 + (w*bits+7)/8)
	}
	var n int64
	for _, p := range adam7 {
		if columns, rows := (w-p[0]+p[2]-1)/p[2], (h-p[1]+p[3]-1)/p[3]; columns > 0 && rows > 0 {
			n += rows * (1 + (columns*bits+7)/8)
		}
	}
	return n
}
