package picture

import (
	"encoding/binary"
	"image"
)

// A pixelReader returns some columns of row y of a picture, counted from 0, as RGBA of which the
// alpha says nothing. They are valid until the next call.
type pixelReader func(y int) []uint8

// pixelsOfRows returns what reads columns from, …, to−1.
func pixelsOfRows(img image.Image, from, to int) pixelReader {
	b := img.Bounds()
	rgba := make([]uint8, 4*b.Dx())
	if m, ok := img.(*image.RGBA); ok {
		rgb, rgba := make([]uint8, 3*(to-from)), rgba[:4*(to-from)]
		return func(y int) []uint8 {
			pix := m.Pix[m.PixOffset(b.Min.X+from, b.Min.Y+y):][:4*(to-from)]
			if isOpaque(pix) {
				return pix
			}
			premultiplied(pix, rgb)
			spread(rgb, rgba)
			return rgba
		}
	}
	rows := rgbaRowsOf(img, false)
	return func(y int) []uint8 {
		rows(b.Min.Y+y, rgba)
		return rgba[4*from : 4*to]
	}
}

// spread makes opaque RGBA of RGB.
func spread(rgb, rgba []uint8) {
	for len(rgb) >= 12 { // four pixels
		in, out := rgb[:12], rgba[:16]
		a, b := binary.LittleEndian.Uint64(in), binary.LittleEndian.Uint32(in[8:])
		binary.LittleEndian.PutUint32(out, uint32(a)|0xff000000)
		binary.LittleEndian.PutUint32(out[4:], uint32(a>>24)|0xff000000)
		binary.LittleEndian.PutUint32(out[8:], uint32(a>>48)|b<<16|0xff000000)
		binary.LittleEndian.PutUint32(out[12:], b>>8|0xff000000)
		rgb, rgba = rgb[12:], rgba[16:]
	}
	for i, j := 0, 0; i+2 < len(rgb); i, j = i+3, j+4 {
		p, out := rgb[i:][:3], rgba[j:][:4]
		out[0], out[1], out[2], out[3] = p[0], p[1], p[2], 255
	}
}

// isOpaque reports whether all pixels of RGBA have full alpha.
func isOpaque(rgba []uint8) bool {
	all := ^uint64(0)
	for ; len(rgba) >= 8; rgba = rgba[8:] {
		all &= binary.LittleEndian.Uint64(rgba)
	}
	return all>>56 == 255 && uint8(all>>24) == 255 && (len(rgba) == 0 || rgba[3] == 255)
}

// resized returns a part of a picture of w × h that is resized to nw × nh. Several goroutines may
// read so many pixels.
func resized(rows func(from, to int) pixelReader, shared, w, h, nw, nh int, part image.Rectangle) []uint8 {
	part = part.Intersect(image.Rect(0, 0, nw, nh))
	if w < 1 || h < 1 || part.Empty() {
		return nil
	}
	columns := triangle(w, nw)[part.Min.X:part.Max.X]
	left, last := columns[0].first, columns[len(columns)-1]
	right := last.first + len(last.weights)
	across := newAcross(columns, left, right)
	lines := triangle(h, nh)
	stride := 3 * part.Dx()
	out := make([]uint8, stride*part.Dy())
	eachBand(part.Min.Y, part.Max.Y, shared, func(from, to int) {
		d := down{read: rows(left, right), across: across, stride: stride, next: lines[from].first}
		for y := from; y < to; y++ {
			d.row(lines[y], out[(y-part.Min.Y)*stride:][:stride])
		}
	})
	return out
}

// across resizes rows to red, green and blue.
type across struct {
	line []taps
	// Where a row shrinks, a pixel goes to two neighbouring target pixels at most: all that go to
	// the same later one follow each other, up to ends. Weights hold that of the later one times
	// 2³², and that of the one before it.
	first   int // pixel of a row
	ends    []int
	weights []uint64 // nil if not
}

func newAcross(line []taps, left, right int) *across {
	a := &across{line: line, first: left, ends: make([]int, len(line))}
	n := right - left
	weights, later := make([]uint64, n), make([]int, n)
	for i, t := range line {
		for k, weight := range t.weights {
			x := t.first + k - a.first
			if weight == 0 {
				continue
			}
			if weights[x] != 0 && (later[x] != i-1 || uint32(weights[x]) != 0) {
				return a
			}
			weights[x], later[x] = weights[x]>>32|uint64(weight)<<32, i
		}
	}
	at := 0
	for i := range a.ends {
		for at < n && (later[at] <= i || weights[at] == 0) {
			at++
		}
		a.ends[i] = at
	}
	if at == n {
		a.weights = weights
	}
	return a
}

// row resizes a row of RGBA, from the first pixel on.
func (a *across) row(pix []uint8, out []uint8) {
	if a.weights == nil {
		a.gather(pix, out)
		return
	}
	const half = 1 << (precision - 1)
	weights := a.weights
	var before [3]uint64
	x := 0
	for i, end := range a.ends {
		var r, g, b uint64
		for ; x < end; x++ {
			weight, p := weights[x], pix[4*x:4*x+4:4*x+4]
			r += weight * uint64(p[0])
			g += weight * uint64(p[1])
			b += weight * uint64(p[2])
		}
		if i > 0 {
			put(out[3*i-3:], before[0]+uint64(uint32(r)), before[1]+uint64(uint32(g)), before[2]+uint64(uint32(b)))
		}
		before[0], before[1], before[2] = r>>32+half, g>>32+half, b>>32+half
	}
	put(out[len(out)-3:], before[0], before[1], before[2])
}

// gather is row for pixels that go anywhere.
func (a *across) gather(pix []uint8, out []uint8) {
	const half = 1 << (precision - 1)
	for i := range a.line {
		t := &a.line[i]
		r, g, b := uint64(half), uint64(half), uint64(half)
		at := 4 * (t.first - a.first)
		for _, weight := range t.weights {
			p, weight := pix[at:at+4:at+4], uint64(weight)
			r += weight * uint64(p[0])
			g += weight * uint64(p[1])
			b += weight * uint64(p[2])
			at += 4
		}
		put(out[3*i:], r, g, b)
	}
}

// put writes sums of weighted samples.
func put(out []uint8, r, g, b uint64) {
	out = out[:3]
	out[0], out[1], out[2] = uint8(min(r>>precision, 255)), uint8(min(g>>precision, 255)), uint8(min(b>>precision, 255))
}

// down resizes columns. It keeps the source rows that are needed again.
type down struct {
	read   pixelReader
	across *across
	stride int
	next   int       // source row to read
	rows   [][]uint8 // the last ones: row y is the one at y modulo their number
	of     [][]uint8 // the source rows of a target row
}

// row writes a target row. Rows are to be asked for in order.
func (d *down) row(t taps, out []uint8) {
	end := t.first + len(t.weights)
	if len(d.rows) < len(t.weights) { // that a row needs more than the ones before is rare
		d.rows = make([][]uint8, len(t.weights)+1)
		d.next = t.first
	}
	for d.next = max(d.next, t.first); d.next < end; d.next++ {
		row := &d.rows[d.next%len(d.rows)]
		if *row == nil {
			*row = make([]uint8, d.stride)
		}
		d.across.row(d.read(d.next), *row)
	}
	d.of = d.of[:0]
	for y := t.first; y < end; y++ {
		d.of = append(d.of, d.rows[y%len(d.rows)])
	}
	blend(d.of, t.weights, out)
}

// blend writes the weighted sum of rows. It computes two samples in a number of 64 bits.
func blend(rows [][]uint8, weights []int32, out []uint8) {
	const (
		both    = 1<<32 + 1
		half    = both << (precision - 1)
		samples = both * 255
		above   = both << (precision + 8)
	)
	x := 0
	for ; x+8 <= len(out); x += 8 {
		a, b, c, d := uint64(half), uint64(half), uint64(half), uint64(half)
		for k, row := range rows {
			v, weight := binary.LittleEndian.Uint64(row[x:x+8]), uint64(weights[k])
			a += v & samples * weight
			b += v >> 8 & samples * weight
			c += v >> 16 & samples * weight
			d += v >> 24 & samples * weight
		}
		if (a|b|c|d)&above != 0 {
			break
		}
		binary.LittleEndian.PutUint64(out[x:], a>>precision&samples|b>>precision&samples<<8|c>>precision&samples<<16|d>>precision&samples<<24)
	}
	for ; x < len(out); x++ {
		sum := uint64(1 << (precision - 1))
		for k, row := range rows {
			sum += uint64(row[x]) * uint64(weights[k])
		}
		out[x] = uint8(min(sum>>precision, 255))
	}
}
