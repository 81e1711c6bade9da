package diffusioninst

import (
	"image"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// candidates are the (box, class) pairs of one view that may become instances, of all
// steps that count.
type candidates struct {
	boxes   []Box // in pixels of the network input
	scores  []float32
	classes []int64
	filters []int // each one's filter: an index into rows
	rows    [][]float32

	evaluation  []int32 // of each: the step and the restart that it is of
	evaluations int     // how many there are
}

// collect takes, of view i, the best N of the N·K (box, class) pairs that reach
// the least score in an evaluation.
func (c *candidates) collect(i int, scores *torch.Tensor, o decoder.Output, least float64, evaluation int) {
	shape := scores.Shape()
	n, classes := shape[1], int64(shape[2])
	value, index := scores.Select(0, i).Flatten(0, 1).Topk(n, 0, true, false)
	xyxy := torch.Values[float32](o.Boxes.Select(0, i))
	filters := torch.Values[float32](o.Filters.Select(0, i))
	params := len(filters) / n
	first := len(c.rows)
	for row := range n {
		c.rows = append(c.rows, filters[row*params:(row+1)*params])
	}
	values := torch.Values[float32](value)
	for j, at := range torch.Values[int64](index) {
		if float64(values[j]) < least {
			continue
		}
		row := at / classes
		b := xyxy[4*row:]
		c.boxes = append(c.boxes, Box{X1: b[0], Y1: b[1], X2: b[2], Y2: b[3]})
		c.scores = append(c.scores, values[j])
		c.classes = append(c.classes, at%classes)
		c.filters = append(c.filters, first+int(row))
		c.evaluation = append(c.evaluation, int32(evaluation))
	}
}

// finish turns candidates of view i into the instances that it answers for, in pixels of
// the picture. Masks that would need too much memory are a *LimitError.
func (p *pass) finish(s *torch.Scope, i int, c candidates) ([]Instance, error) {
	mark := s.Mark()
	defer s.Release(mark)
	v, names := p.views[i], p.model.config.Classes
	w, h := v.part.Dx(), v.part.Dy()
	sx, sy := v.factors()
	var out []Instance
	var voters [][]int64
	var areas []image.Rectangle
	objects, err := p.objects(s, i, c)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		k := o.votes[0]
		box := c.mean(o.votes).Scale(sx, sy).Clip(w, h)
		placed := v.place(box)
		if box.Empty() || !v.answers(placed) {
			continue // it lies outside of the picture, or another view reports it
		}
		if p.alone && p.limit > 0 && len(out) == p.limit {
			break
		}
		out = append(out, Instance{Class: int(c.classes[k]), Name: names[c.classes[k]], Score: o.score, Box: placed})
		voters = append(voters, o.votes)
		areas = append(areas, p.rules.pixels(box, w, h))
	}
	if err := p.checkMasks(areas, *p.held); err != nil {
		return nil, err
	}
	for j, m := range p.masks(s, i, c, voters, areas) {
		if v.mirrored {
			m = m.FlipHorizontal()
		}
		if v.tiled() {
			m = m.Crop(image.Rectangle{Max: v.size}.Sub(v.part.Min))
		}
		out[j].Mask = m
	}
	return out, nil
}

// mean is the mean box of the voters.
func (c candidates) mean(voters []int64) Box {
	var boxes []Box
	var weights []float32
	for _, k := range voters {
		boxes, weights = append(boxes, c.boxes[k]), append(weights, c.scores[k])
	}
	return meanBox(boxes, weights)
}

// maskBytes bounds the voters' masks that are held at once.
const maskBytes = 256 << 20

// maskSize returns the bytes of a mask that stores an area.
func maskSize(area image.Rectangle) int64 {
	return int64(area.Dx()+127) / 64 * 8 * int64(area.Dy())
}

// masks makes the mask of each instance of view i within its area, from its voters' filters.
func (p *pass) masks(s *torch.Scope, i int, c candidates, voters [][]int64, areas []image.Rectangle) []*mask.Bitmap {
	v, head, features := p.views[i], p.model.config.MaskHead, p.features.Select(0, i)
	geometry := torch.MaskGeometry{
		Stride: p.model.backbone.Strides()[0] / max(p.model.config.MaskBranch.Upsample, 1), InputW: v.width, InputH: v.height, OutputW: v.part.Dx(), OutputH: v.part.Dy(), Threshold: 0.5,
	}
	var out []*mask.Bitmap
	for len(out) < len(voters) {
		mark := s.Mark()
		var filters, weights []float32
		var within []image.Rectangle
		first, last := len(out), len(out)
		for bytes := int64(0); last < len(voters); last++ {
			if bytes += int64(len(voters[last])) * maskSize(areas[last]); bytes > maskBytes && last > first {
				break
			}
			for _, k := range voters[last] {
				filters = append(filters, c.rows[c.filters[k]]...)
				weights = append(weights, c.scores[k])
				within = append(within, areas[last])
			}
		}
		n := len(within)
		masks := head.Masks(features, torch.From(s, filters, n, head.Params()).To(p.model.device), within, geometry)
		for j := first; j < last; j++ {
			k := len(voters[j])
			out = append(out, majority(masks[:k], weights[:k], areas[j]))
			masks, weights = masks[k:], weights[k:]
		}
		s.Release(mark)
	}
	return out
}
