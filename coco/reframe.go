package coco

import "github.com/diffusioninst/go/mask"

// reframe moves a mask by (dx, dy) into a picture of another size. All its pixels
// must lie inside. The work goes with the runs, not with the pictures' sizes.
func reframe(r mask.RLE, dx, dy, width, height int) mask.RLE {
	out := make([]uint32, 0, len(r.Counts)+1)
	end := 0 // of the last set run
	add := func(from, to int) {
		if from == end && len(out) > 0 {
			out[len(out)-1] += uint32(to - from)
		} else {
			out = append(out, uint32(from-end), uint32(to-from))
		}
		end = to
	}
	at, set := 0, false // in r
	for _, n := range r.Counts {
		for from, to := at, at+int(n); set && from < to; {
			x, y := from/r.Height, from%r.Height
			next := min(to, (x+1)*r.Height)
			start := (x+dx)*height + y + dy
			add(start, start+next-from)
			from = next
		}
		at, set = at+int(n), !set
	}
	if rest := width*height - end; rest > 0 {
		out = append(out, uint32(rest))
	}
	return mask.RLE{Width: width, Height: height, Counts: out}
}

// boundary is the part of a mask within so many pixels of its edge. What lies
// outside the picture is outside the mask, so its box is picture enough.
func boundary(r mask.RLE, width int) mask.RLE {
	left, top, w, h := r.BBox()
	if w == 0 || h == 0 {
		return r
	}
	x, y := int(left), int(top)
	small := reframe(r, -x, -y, int(w), int(h))
	return reframe(small.Bitmap().Boundary(width).RLE(), x, y, r.Width, r.Height)
}
