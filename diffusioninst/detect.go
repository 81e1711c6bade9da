package diffusioninst

import (
	"cmp"
	"image"
	"slices"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// candidates are the (box, class) pairs of one picture that may become instances,
// of all steps that count.
type candidates struct {
	boxes   []float32 // x1 y1 x2 y2 each, in pixels of the network input
	scores  []float32
	classes []int64
	filters []int // each one's filter: an index into rows
	rows    [][]float32
}

// box is a candidate's.
func (c candidates) box(k int64) []float32 { return c.boxes[4*k : 4*k+4] }

func (c candidates) at(k int64) Box {
	b := c.box(k)
	return Box{X1: b[0], Y1: b[1], X2: b[2], Y2: b[3]}
}

// collect takes, of picture i, the best N of the N·K (box, class) pairs that reach
// the least score.
func (c *candidates) collect(i int64, scores *torch.Tensor, o decoder.Output, least float64) {
	shape := scores.Shape()
	n, classes := shape[1], shape[2]
	value, index := scores.Select(0, i).Flatten(0, 1).Topk(n, 0, true, false)
	boxes := torch.Values[float32](o.Boxes.Select(0, i))
	filters := torch.Values[float32](o.Filters.Select(0, i))
	params := len(filters) / int(n)
	first := len(c.rows)
	for row := range int(n) {
		c.rows = append(c.rows, filters[row*params:(row+1)*params])
	}
	values := torch.Values[float32](value)
	for j, at := range torch.Values[int64](index) {
		if float64(values[j]) < least {
			continue
		}
		row := at / classes
		c.boxes = append(c.boxes, boxes[4*row:4*row+4]...)
		c.scores = append(c.scores, values[j])
		c.classes = append(c.classes, at%classes)
		c.filters = append(c.filters, first+int(row))
	}
}

// survivors are the candidates that non-maximum suppression leaves, best first.
func (r *run) survivors(c candidates) []int64 {
	threshold := r.model.config.NMS
	switch {
	case threshold < 0:
		order := make([]int64, len(c.scores))
		for i := range order {
			order[i] = int64(i)
		}
		slices.SortStableFunc(order, func(a, b int64) int { return cmp.Compare(c.scores[b], c.scores[a]) })
		return order
	case r.model.config.Quirks == Reference && len(c.scores) > 0 && len(c.boxes) <= 4000:
		// torchvision moves the classes apart instead of comparing them, which rounds
		// the coordinates.
		apart := slices.Max(c.boxes) + 1
		moved := make([]float32, len(c.boxes))
		for i, v := range c.boxes {
			moved[i] = v + float32(c.classes[i/4])*apart
		}
		return torch.NMS(moved, c.scores, nil, threshold)
	}
	return torch.NMS(c.boxes, c.scores, c.classes, threshold)
}

// finish turns candidates of picture i into instances.
func (r *run) finish(s *torch.Scope, i int, c candidates) *Result {
	in, config, features := r.inputs[i], r.model.config, r.features.Select(0, int64(i))
	out := &Result{Width: in.outputW, Height: in.outputH}
	sx, sy := float32(in.outputW)/float32(in.width), float32(in.outputH)/float32(in.height)
	var voters [][]int64
	var pixels []image.Rectangle
	for _, k := range r.survivors(c) {
		votes := r.options.Ensemble.voters(c, k)
		box := meanBox(c, votes).Scale(sx, sy).Clip(in.outputW, in.outputH)
		if box.Empty() {
			continue // it lies outside of the picture
		}
		if r.options.Limit > 0 && len(out.Instances) == r.options.Limit {
			break
		}
		out.Instances = append(out.Instances, Instance{
			Class: int(c.classes[k]), Name: config.Classes[c.classes[k]], Score: c.scores[k], Box: box,
		})
		edges := Box.Pixels
		if config.Quirks == Reference {
			edges = Box.TruncatedPixels
		}
		voters = append(voters, votes)
		pixels = append(pixels, edges(box, in.outputW, in.outputH))
	}
	for j, m := range r.masks(s, in, c, features, voters, pixels) {
		out.Instances[j].Mask = m
	}
	return out
}

// maskBytes bounds the voters' masks that are held at once.
const maskBytes = 256 << 20

// masks makes the mask of each instance within its pixels, from its voters' filters.
func (r *run) masks(s *torch.Scope, in input, c candidates, features *torch.Tensor, voters [][]int64, pixels []image.Rectangle) []*mask.Bitmap {
	head := r.model.config.MaskHead
	picture := maskhead.Picture{
		Stride: r.model.backbone.Strides()[0], InputW: in.width, InputH: in.height, OutputW: in.outputW, OutputH: in.outputH, Threshold: 0.5,
	}
	most := max(maskBytes*8/(in.outputW*in.outputH), 1)
	var out []*mask.Bitmap
	for len(out) < len(voters) {
		mark := s.Mark()
		var filters, weights []float32
		var boxes []image.Rectangle
		first, last := len(out), len(out)
		for ; last < len(voters) && (last == first || len(boxes)+len(voters[last]) <= most); last++ {
			for _, v := range voters[last] {
				filters = append(filters, c.rows[c.filters[v]]...)
				weights = append(weights, c.scores[v])
				boxes = append(boxes, pixels[last])
			}
		}
		n := int64(len(boxes))
		masks := head.Masks(features, torch.From(s, filters, n, int64(head.Params())).To(r.model.device), boxes, picture)
		for i := first; i < last; i++ {
			k := len(voters[i])
			out = append(out, majority(masks[:k], weights[:k], pixels[i]))
			masks, weights = masks[k:], weights[k:]
		}
		s.Release(mark)
	}
	return out
}
