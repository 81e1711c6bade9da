// Package tifftest writes TIFF files for tests.
package tifftest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/klauspost/compress/zstd"
)

// A Page is written as one strip per plane, or as Rows and Tile say.
type Page struct {
	Width, Height int
	Samples, Bits int // 1 and 8 unless they are set
	Format        int // of samples: 1 unsigned, 2 signed, 3 floating point
	Photometric   int
	Compression   int // 1, or 50000 for zstd
	Planes        [][]byte
	Rows          int               // of a strip
	Tile          int               // side of tiles, of samples of whole bytes
	Empty         int               // tiles in place of Planes, which are left out of the file
	Tags          map[uint16]uint32 // further tags of one number
	Description   string
	Colours       []uint16 // of a palette: all reds, greens, blues
}

// Encode returns a TIFF or, if big is set, BigTIFF file of pages, whose samples are in the
// order already.
func Encode(order binary.AppendByteOrder, big bool, pages ...Page) []byte {
	le := order == binary.AppendByteOrder(binary.LittleEndian)
	mark := byte('M')
	if le {
		mark = 'I'
	}
	out := []byte{mark, mark}
	if big {
		out = order.AppendUint16(order.AppendUint16(order.AppendUint16(out, 43), 8), 0)
		out = order.AppendUint64(out, 0)
	} else {
		out = order.AppendUint32(order.AppendUint16(out, 42), 0)
	}
	link := len(out) - 4
	if big {
		link = len(out) - 8
	}
	put := func(at int, v uint64) {
		if big {
			copy(out[at:], order.AppendUint64(nil, v))
		} else {
			copy(out[at:], order.AppendUint32(nil, uint32(v)))
		}
	}
	for _, p := range pages {
		var offsets, lengths []uint64
		for _, plane := range p.Planes {
			for _, chunk := range p.chunks(plane) {
				if p.Compression == 50000 {
					chunk = compressed(chunk)
				}
				offsets, lengths = append(offsets, uint64(len(out))), append(lengths, uint64(len(chunk)))
				out = append(out, chunk...)
			}
		}
		offsets, lengths = append(offsets, make([]uint64, p.Empty)...), append(lengths, make([]uint64, p.Empty)...)
		samples, bits := max(p.Samples, 1), p.Bits
		if bits == 0 {
			bits = 8
		}
		planar := uint64(1)
		if len(p.Planes) > 1 {
			planar = 2
		}
		repeated := func(n int) []uint64 {
			v := make([]uint64, samples)
			for i := range v {
				v[i] = uint64(n)
			}
			return v
		}
		tags := []tag{
			{256, 4, []uint64{uint64(p.Width)}}, {257, 4, []uint64{uint64(p.Height)}}, {258, 3, repeated(bits)},
			{259, 3, []uint64{uint64(max(p.Compression, 1))}}, {262, 3, []uint64{uint64(p.Photometric)}}, {273, 4, offsets},
			{277, 3, []uint64{uint64(samples)}}, {278, 4, []uint64{uint64(cmp.Or(p.Rows, p.Height))}}, {279, 4, lengths}, {284, 3, []uint64{planar}},
			{339, 3, repeated(max(p.Format, 1))},
		}
		if p.Tile > 0 {
			tags[5].id, tags[8].id = 324, 325
			tags = append(tags, tag{322, 4, []uint64{uint64(p.Tile)}}, tag{323, 4, []uint64{uint64(p.Tile)}})
		}
		if p.Description != "" {
			var text []uint64
			for _, b := range []byte(p.Description + "\x00") {
				text = append(text, uint64(b))
			}
			tags = append(tags, tag{270, 2, text})
		}
		if len(p.Colours) > 0 {
			var table []uint64
			for _, v := range p.Colours {
				table = append(table, uint64(v))
			}
			tags = append(tags, tag{320, 3, table})
		}
		for id, v := range p.Tags {
			tags = append(tags, tag{id, 4, []uint64{uint64(v)}})
		}
		room := 4
		if big {
			room = 8
		}
		at := make([]int, len(tags)) // of values that do not fit into the entry
		for i, t := range tags {
			if b := t.bytes(order); len(b) > room {
				at[i] = len(out)
				out = append(out, b...)
			}
		}
		put(link, uint64(len(out)))
		if big {
			out = order.AppendUint64(out, uint64(len(tags)))
		} else {
			out = order.AppendUint16(out, uint16(len(tags)))
		}
		for i, t := range tags {
			out = order.AppendUint16(order.AppendUint16(out, t.id), t.kind)
			value := make([]byte, room)
			switch {
			case at[i] == 0:
				copy(value, t.bytes(order))
			case big:
				value = order.AppendUint64(nil, uint64(at[i]))
			default:
				value = order.AppendUint32(nil, uint32(at[i]))
			}
			if big {
				out = order.AppendUint64(out, uint64(len(t.values)))
			} else {
				out = order.AppendUint32(out, uint32(len(t.values)))
			}
			out = append(out, value...)
		}
		link = len(out)
		out = append(out, make([]byte, room)...)
	}
	return out
}

// chunks cuts a plane into strips or tiles.
func (p Page) chunks(plane []byte) [][]byte {
	if p.Rows == 0 && p.Tile == 0 {
		return [][]byte{plane}
	}
	row := len(plane) / p.Height
	var out [][]byte
	if p.Tile == 0 {
		for size := p.Rows * row; len(plane) > size; plane = plane[size:] {
			out = append(out, plane[:size])
		}
		return append(out, plane)
	}
	pixel := row / p.Width
	for y := 0; y < p.Height; y += p.Tile {
		for x := 0; x < p.Width; x += p.Tile {
			tile := make([]byte, p.Tile*p.Tile*pixel)
			for k := range min(p.Tile, p.Height-y) {
				copy(tile[k*p.Tile*pixel:], plane[(y+k)*row+x*pixel:][:min(p.Tile, p.Width-x)*pixel])
			}
			out = append(out, tile)
		}
	}
	return out
}

type tag struct {
	id, kind uint16
	values   []uint64
}

func (t tag) bytes(order binary.AppendByteOrder) []byte {
	var out []byte
	for _, v := range t.values {
		switch t.kind {
		case 2:
			out = append(out, byte(v))
		case 3:
			out = order.AppendUint16(out, uint16(v))
		default:
			out = order.AppendUint32(out, uint32(v))
		}
	}
	return out
}

func compressed(data []byte) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Microscope returns one grey field in the forms in which cameras and programs write it, by
// file name.
func Microscope(grey []uint8, width, height int) map[string][]byte {
	little, large := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	deep := func(order binary.AppendByteOrder, f func(v uint16) uint16) []byte {
		var out []byte
		for _, v := range grey {
			out = order.AppendUint16(out, f(uint16(v)))
		}
		return out
	}
	full := func(v uint16) uint16 { return v * 257 }
	var floats, blue []byte
	for _, v := range grey {
		floats = little.AppendUint32(floats, math.Float32bits(float32(v)/255))
		blue = append(blue, 0, 0, v)
	}
	page := func(bits int, planes ...[]byte) Page {
		return Page{Width: width, Height: height, Bits: bits, Photometric: 1, Planes: planes}
	}
	with := func(p Page, change func(p *Page)) Page { change(&p); return p }
	blank := page(8, make([]byte, len(grey)))
	return map[string][]byte{
		"8bit.tif":       Encode(little, false, page(8, grey)),
		"16bit_full.tif": Encode(little, false, page(16, deep(little, full))),
		"12_in_16.tif":   Encode(little, false, page(16, deep(little, func(v uint16) uint16 { return v * 16 }))),
		"dim.tif":        Encode(little, false, page(16, deep(little, func(v uint16) uint16 { return v*4 + 100 }))),
		"blue.tif":       Encode(little, false, with(page(8, blue), func(p *Page) { p.Samples, p.Photometric = 3, 2 })),
		"page2of3.tif":   Encode(little, false, blank, page(8, grey), blank),
		"float32.tif":    Encode(little, false, with(page(32, floats), func(p *Page) { p.Format = 3 })),
		"planar.tif":     Encode(little, false, with(page(8, grey, grey, grey), func(p *Page) { p.Samples, p.Photometric = 3, 2 })),
		"bigtiff.tif":    Encode(little, true, page(16, deep(little, full))),
		"big_endian.tif": Encode(large, false, page(16, deep(large, full))),
		"zstd.tif":       Encode(little, false, with(page(16, deep(little, full)), func(p *Page) { p.Compression = 50000 })),
	}
}
