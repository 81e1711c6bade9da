package picture

import (
	"image"
	"math"
)

// ShortestEdge returns the size of a w × h picture whose shorter side is resized to
// short or, if its longer side would then exceed longest, whose longer side is resized to
// longest (Detectron2's ResizeShortestEdge). It is rounded to the nearest pixel and
// never below 1. A short of 0 or less keeps the size; a longest of 0 or less is no limit.
func ShortestEdge(w, h, short, longest int) (int, int) {
	if short <= 0 || w <= 0 || h <= 0 {
		return w, h
	}
	scale := float64(short) / float64(min(w, h))
	// The side that becomes short is exact; the order of the operations decides
	// how halves round.
	fw, fh := float64(short), scale*float64(h)
	if h < w {
		fw, fh = scale*float64(w), float64(short)
	}
	if most := max(fw, fh); longest > 0 && most > float64(longest) {
		scale = float64(longest) / most
		fw, fh = fw*scale, fh*scale
	}
	return max(1, int(fw+0.5)), max(1, int(fh+0.5))
}

// Scale returns the size of a w × h picture whose sides are multiplied by scale or, if its
// longer side would then exceed longest, whose longer side is resized to longest. It is
// rounded to the nearest pixel and never below 1. A longest of 0 or less is no limit.
func Scale(w, h int, scale float64, longest int) (int, int) {
	fw, fh := scale*float64(w), scale*float64(h)
	if most := max(fw, fh); longest > 0 && most > float64(longest) {
		fw, fh = fw*float64(longest)/most, fh*float64(longest)/most
	}
	return max(1, int(fw+0.5)), max(1, int(fh+0.5))
}

// Resize returns h × w × 3 bytes resized to nh × nw × 3 with PIL's BILINEAR filter: a
// triangle that is stretched over the source pixels when it shrinks (antialiasing),
// first along the rows, then along the columns, each rounded to 8 bits. Arithmetic
// is PIL's, in fixed point of 22 bits, so the result is bit-identical;
// golang.org/x/image/draw's BiLinear has the filter but other rounding, and is
// slower (see the benchmarks). Sizes below 1 give nil.
func Resize(rgb []uint8, w, h, nw, nh int) []uint8 {
	if w < 1 || h < 1 || nw < 1 || nh < 1 {
		return nil
	}
	if nw != w {
		rgb = resizeRows(rgb, w, h, triangle(w, nw))
	}
	if nh != h {
		rgb = resizeColumns(rgb, nw, 0, triangle(h, nh))
	}
	return rgb
}

// ResizePart returns the part of [Resize]'s result that lies in a rectangle, at the cost of
// that part. It shares no memory with rgb. The part of the rectangle beyond the resized
// picture is ignored; sizes below 1 and an empty part give nil.
func ResizePart(rgb []uint8, w, h, nw, nh int, part image.Rectangle) []uint8 {
	part = part.Intersect(image.Rect(0, 0, nw, nh))
	if w < 1 || h < 1 || part.Empty() {
		return nil
	}
	rows, top, bottom := []taps(nil), part.Min.Y, part.Max.Y
	if nh != h {
		rows = triangle(h, nh)[part.Min.Y:part.Max.Y]
		last := rows[len(rows)-1]
		top, bottom = rows[0].first, last.first+len(last.weights)
	}
	rgb = rgb[3*w*top : 3*w*bottom]
	if nw != w {
		rgb = resizeRows(rgb, w, bottom-top, triangle(w, nw)[part.Min.X:part.Max.X])
	} else {
		rgb = columns(rgb, w, part.Min.X, part.Max.X)
	}
	if nh != h {
		rgb = resizeColumns(rgb, part.Dx(), top, rows)
	}
	return rgb
}

// columns copies the columns from x0 up to x1.
func columns(rgb []uint8, w, x0, x1 int) []uint8 {
	out := make([]uint8, 0, len(rgb)/w*(x1-x0))
	for ; len(rgb) > 0; rgb = rgb[3*w:] {
		out = append(out, rgb[3*x0:3*x1]...)
	}
	return out
}

// precision is the number of fraction bits: 8 for the sample and 2 to spare in 32.
const precision = 32 - 8 - 2

// taps are the source pixels of one target pixel: first, first+1, …
type taps struct {
	first   int
	weights []int32
}

// triangle computes the taps of a line that is brought from one length to another.
func triangle(from, to int) []taps {
	scale := float64(from) / float64(to)
	stretch := max(scale, 1)
	all := make([]int32, 0, to*(2*int(math.Ceil(stretch))+1))
	out := make([]taps, to)
	var exact []float64
	for i := range out {
		center := (float64(i) + 0.5) * scale
		first := max(int(center-stretch+0.5), 0)
		end := min(int(center+stretch+0.5), from)
		exact = exact[:0]
		sum := 0.0
		for x := first; x < end; x++ {
			weight := max(0, 1-math.Abs((float64(x)-center+0.5)*(1/stretch)))
			exact = append(exact, weight)
			sum += weight
		}
		start := len(all)
		for _, weight := range exact {
			if sum != 0 {
				weight /= sum
			}
			all = append(all, int32(0.5+weight*(1<<precision)))
		}
		out[i] = taps{first, all[start:len(all):len(all)]}
	}
	return out
}

// resizeRows brings h rows of w pixels to the target pixels of a line.
func resizeRows(src []uint8, w, h int, line []taps) []uint8 {
	nw := len(line)
	dst := make([]uint8, 3*nw*h)
	for y := range h {
		in, out := src[3*w*y:][:3*w], dst[3*nw*y:][:3*nw]
		for x := range line {
			t := &line[x]
			r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
			from := in[3*t.first:][:3*len(t.weights)]
			for i, weight := range t.weights {
				p := from[3*i:][:3]
				r += weight * int32(p[0])
				g += weight * int32(p[1])
				b += weight * int32(p[2])
			}
			to := out[3*x:][:3]
			to[0], to[1], to[2] = clamp(r>>precision), clamp(g>>precision), clamp(b>>precision)
		}
	}
	return dst
}

// resizeColumns brings rows of w pixels, of which src starts with row top, to the target
// rows.
func resizeColumns(src []uint8, w, top int, rows []taps) []uint8 {
	stride := 3 * w
	dst := make([]uint8, stride*len(rows))
	sums := make([]int32, stride)
	for y, t := range rows {
		for i := range sums {
			sums[i] = 1 << (precision - 1)
		}
		for k, weight := range t.weights {
			in := src[(t.first+k-top)*stride:][:stride]
			for i, v := range in {
				sums[i] += weight * int32(v)
			}
		}
		out := dst[y*stride:][:stride]
		for i, v := range sums {
			out[i] = clamp(v >> precision)
		}
	}
	return dst
}
