package maskhead

import (
	"image"
	"math"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// qualityBytes bounds the logits that Quality holds at once.
const qualityBytes = 16 << 20

// Quality returns for each filter (n,Params) on the mask features (Channels,h,w) of one picture how
// sure of its mask the head is, from 0 to 1. Of the probabilities p of the features' pixels in the box,
// with M = {p > 0.5}, it is the product of
//
//   - the mean of p over M (the maskness of SOLOv2, arXiv 2003.10152),
//   - the share Σp over M of Σp over the box, and
//   - the IoU of the box with the smallest one around M.
//
// It is 0 if M is empty. boxes are in pixels of the network's input and stride is the features' one; a
// pixel more on each side of a box is looked at.
func (h Head) Quality(features, filters *torch.Tensor, boxes []mask.Box, stride int) []float64 {
	shape := features.Shape()
	height, width := shape[1], shape[2]
	if !features.Device().IsCUDA() {
		return h.qualityOfSums(features, filters, boxes, float64(stride))
	}
	at := max(qualityBytes/(4*height*width), 1)
	var out []float64
	for from := 0; from < len(boxes); from += at {
		to := min(from+at, len(boxes))
		out = append(out, h.quality(features, filters.Narrow(0, from, to-from), boxes[from:to], float64(stride))...)
	}
	return out
}

func (h Head) quality(features, filters *torch.Tensor, boxes []mask.Box, stride float64) []float64 {
	shape, n := features.Shape(), len(boxes)
	height, width := shape[1], shape[2]
	var columns, rows []float32 // 1 inside a box
	for _, b := range boxes {
		columns = appendInside(columns, width, float64(b.X1)/stride, float64(b.X2)/stride)
		rows = appendInside(rows, height, float64(b.Y1)/stride, float64(b.Y2)/stride)
	}
	s := features.Scope()
	sums := s.Hold(func() *torch.Tensor {
		place := func(values []float32, shape ...int) *torch.Tensor {
			return torch.From(s, values, shape...).To(features.Device())
		}
		inside := place(rows, n, height, 1).Mul(place(columns, n, 1, width))
		p := h.Logits(features, filters).ToDType(torch.Float32).Sigmoid().Mul(inside)
		in := p.GtScalar(0.5).ToDType(torch.Float32)
		// How far M's first pixel of a side is from the end, and its last one from the beginning, both included.
		ends := func(line *torch.Tensor, size int) []*torch.Tensor {
			up, down := make([]float32, size), make([]float32, size)
			for i := range size {
				up[i], down[i] = float32(i+1), float32(size-i)
			}
			farthest := func(far []float32) *torch.Tensor { return line.Mul(place(far, 1, size)).Amax([]int{1}, false) }
			return []*torch.Tensor{farthest(down), farthest(up)}
		}
		all := func(x *torch.Tensor) *torch.Tensor { return x.SumDim([]int{1, 2}, false) }
		parts := []*torch.Tensor{all(in), all(p.Mul(in)), all(p)}
		parts = append(parts, ends(in.Amax([]int{1}, false), width)...)
		parts = append(parts, ends(in.Amax([]int{2}, false), height)...)
		return torch.Stack(parts, 1)
	})
	defer sums.Close()
	values := torch.Values[float32](sums)
	out := make([]float64, n)
	for i, b := range boxes {
		v := values[7*i:]
		around := mask.Box{
			X1: float32((float64(width) - float64(v[3])) * stride), Y1: float32((float64(height) - float64(v[5])) * stride),
			X2: float32(float64(v[4]) * stride), Y2: float32(float64(v[6]) * stride),
		}
		out[i] = qualityOf(float64(v[0]), float64(v[1]), float64(v[2]), around, b)
	}
	return out
}

// qualityOfSums computes, on the CPU, only what lies in the boxes.
func (h Head) qualityOfSums(features, filters *torch.Tensor, boxes []mask.Box, stride float64) []float64 {
	shape := features.Shape()
	places := make([]image.Rectangle, len(boxes))
	for i, b := range boxes {
		x0, x1 := reach(shape[2], float64(b.X1)/stride, float64(b.X2)/stride)
		y0, y1 := reach(shape[1], float64(b.Y1)/stride, float64(b.Y2)/stride)
		places[i] = image.Rect(x0, y0, max(x0, x1), max(y0, y1))
	}
	out := make([]float64, len(boxes))
	for i, s := range torch.DynamicMaskSums(features, filters, h.withDefaults().Layers, places) {
		at := float32(stride)
		around := mask.Box{
			X1: float32(s.Around.Min.X) * at, Y1: float32(s.Around.Min.Y) * at, X2: float32(s.Around.Max.X) * at, Y2: float32(s.Around.Max.Y) * at,
		}
		out[i] = qualityOf(float64(s.Count), s.Inside, s.All, around, boxes[i])
	}
	return out
}

// qualityOf is Quality of a mask of so many features, the sums of probabilities in it and in the box, and the smallest box around it.
func qualityOf(count, inMask, inBox float64, around, box mask.Box) float64 {
	if count == 0 {
		return 0
	}
	return inMask / count * inMask / inBox * float64(around.IoU(box))
}

// reach returns the range of n pixels of a side that lie in [low−½, high+½] by more than a half.
func reach(n int, low, high float64) (from, to int) {
	pixel := func(v float64) int { return int(min(max(v, 0), float64(n))) }
	return pixel(math.Floor(low - 0.5)), pixel(math.Ceil(high + 0.5))
}

// appendInside appends for each of n pixels of a side whether it is inside: 1 or 0.
func appendInside(out []float32, n int, low, high float64) []float32 {
	from, to := reach(n, low, high)
	for i := range n {
		if i >= from && i < to {
			out = append(out, 1)
		} else {
			out = append(out, 0)
		}
	}
	return out
}
