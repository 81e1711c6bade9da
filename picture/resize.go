package picture

import (
	"image"
	"math"
)

// ShortestEdge returns the size of a w × h picture whose shorter side is resized to
// short or, if its longer side would then exceed longest, whose longer side is resized to
// longest (Detectron2's ResizeShortestEdge). It is rounded to the nearest pixel and
// never below 1. A short of 0 or less keeps the size; a longest of 0 or less means no limit.
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
// rounded to the nearest pixel and never below 1. A longest of 0 or less means no limit.
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
	if nw == w && nh == h && w > 0 && h > 0 {
		return rgb
	}
	return ResizePart(rgb, w, h, nw, nh, image.Rect(0, 0, nw, nh))
}

// ResizePart returns the part of [Resize]'s result that lies in a rectangle, at the cost of
// that part. It shares no memory with rgb. The part of the rectangle beyond the resized
// picture is ignored; sizes below 1 and an empty part give nil.
func ResizePart(rgb []uint8, w, h, nw, nh int, part image.Rectangle) []uint8 {
	return resized(func(from, to int) pixelReader {
		rgba := make([]uint8, 4*(to-from))
		return func(y int) []uint8 {
			spread(rgb[3*(w*y+from):3*(w*y+to)], rgba)
			return rgba
		}
	}, w*h, w, h, nw, nh, part)
}

// ResizeImage returns what [Resize] gives of a picture's [RGB] bytes, without making them. It panics
// where RGB does.
func ResizeImage(img image.Image, nw, nh int) []uint8 {
	img = pixelsOf(img)
	b := img.Bounds()
	if b.Dx() == nw && b.Dy() == nh {
		return RGB(img)
	}
	return resized(func(from, to int) pixelReader { return pixelsOfRows(img, from, to) }, shared(img), b.Dx(), b.Dy(), nw, nh, image.Rect(0, 0, nw, nh))
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
		for len(all) > start+1 && all[len(all)-1] == 0 {
			all = all[:len(all)-1]
		}
		out[i] = taps{first, all[start:len(all):len(all)]}
	}
	return out
}
