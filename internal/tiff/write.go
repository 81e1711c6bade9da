package tiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// A Grey is a picture of whole numbers to write.
type Grey struct {
	Width, Height int
	Bits          int // 16 or 32
	// Row writes the samples of row y to dst.
	Row func(dst []uint32, y int)
	// Descriptions are tags ImageDescription. Programs differ in which of several they read.
	Descriptions []string
	// PixelsPerUnit is the resolution; 0 if unknown.
	PixelsPerUnit float64
}

// stripBytes is about how much of a picture is compressed together.
const stripBytes = 1 << 18

// WriteGrey writes a TIFF file of one page with strips that are compressed by deflate.
func WriteGrey(w io.Writer, g *Grey) error {
	stride := g.Width * g.Bits / 8
	rows := max(1, stripBytes/max(stride, 1))
	le := binary.LittleEndian
	var strips bytes.Buffer
	var lengths []uint32
	samples, line := make([]uint32, g.Width), make([]byte, 0, stride)
	for y := 0; y < g.Height; y += rows {
		before := strips.Len()
		z := zlib.NewWriter(&strips)
		for i := y; i < min(y+rows, g.Height); i++ {
			g.Row(samples, i)
			line = line[:0]
			for _, v := range samples {
				if g.Bits == 16 {
					line = le.AppendUint16(line, uint16(v))
				} else {
					line = le.AppendUint32(line, v)
				}
			}
			if _, err := z.Write(line); err != nil {
				return err
			}
		}
		if err := z.Close(); err != nil {
			return err
		}
		lengths = append(lengths, uint32(strips.Len()-before))
	}
	head := g.header(rows, lengths)
	if float64(len(head))+float64(strips.Len()) > math.MaxUint32 {
		return errors.New("tiff: more than 4 GB")
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(strips.Bytes())
	return err
}

// header returns everything but the strips, which follow it.
func (g *Grey) header(rows int, lengths []uint32) []byte {
	const short, long, ascii, rational = 3, 4, 2, 5
	le := binary.LittleEndian
	type entry struct {
		tag, kind uint16
		count     uint32
		value     []byte
	}
	var entries []entry
	add := func(tag, kind uint16, values ...uint32) {
		e := entry{tag: tag, kind: kind, count: uint32(len(values))}
		for _, v := range values {
			if kind == short {
				e.value = le.AppendUint16(e.value, uint16(v))
			} else {
				e.value = le.AppendUint32(e.value, v)
			}
		}
		if kind == rational {
			e.count /= 2
		}
		entries = append(entries, e)
	}
	add(256, long, uint32(g.Width))
	add(257, long, uint32(g.Height))
	add(258, short, uint32(g.Bits))
	add(259, short, compressAdobe)
	add(262, short, uint32(BlackIsZero))
	for _, text := range g.Descriptions {
		entries = append(entries, entry{tagDescription, ascii, uint32(len(text) + 1), append([]byte(text), 0)})
	}
	offsets := len(entries)
	add(273, long, make([]uint32, len(lengths))...)
	add(277, short, 1)
	add(278, long, uint32(rows))
	add(279, long, lengths...)
	if g.PixelsPerUnit > 0 {
		num, den := ratio(g.PixelsPerUnit)
		add(282, rational, num, den)
		add(283, rational, num, den)
		add(296, short, 1)
	}
	add(339, short, 1)

	at := uint32(8 + 2 + 12*len(entries) + 4)
	size := at
	for _, e := range entries {
		if len(e.value) > 4 {
			size += uint32(len(e.value)+1) &^ 1
		}
	}
	value := entries[offsets].value[:0]
	start := size
	for _, n := range lengths {
		value = le.AppendUint32(value, start)
		start += n
	}
	entries[offsets].value = value
	out := append([]byte("II*\x00"), 8, 0, 0, 0)
	out = le.AppendUint16(out, uint16(len(entries)))
	var behind []byte
	for _, e := range entries {
		out = le.AppendUint16(le.AppendUint16(out, e.tag), e.kind)
		out = le.AppendUint32(out, e.count)
		if len(e.value) <= 4 {
			out = append(out, append(e.value, 0, 0, 0, 0)[:4]...)
			continue
		}
		out = le.AppendUint32(out, at+uint32(len(behind)))
		if behind = append(behind, e.value...); len(behind)%2 != 0 {
			behind = append(behind, 0)
		}
	}
	out = append(out, 0, 0, 0, 0) // no further page
	return append(out, behind...)
}

// ratio returns a fraction that is v to about nine digits.
func ratio(v float64) (num, den uint32) {
	d := math.Max(1, math.Floor(min(4e9/v, 4e9)))
	if v >= 1 && v == math.Floor(v) && v < 4e9 {
		d = 1
	}
	return uint32(min(math.Round(v*d), 4e9)), uint32(d)
}
