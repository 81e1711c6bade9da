package diffusioninst

import (
	"image"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// candidates are the (box, class) pairs of one view that may become instances, of all
// steps that count.
type candidates struct {
	boxes   []Box // in pixels of the network input
	scores  []float32
	classes []int64
	filters []int         // each one's filter: an index into rows
	rows    *torch.Tensor // (rows of best of all views and evaluations, params) on the device
	order   []int64       // of survivors; nil if it is to be found

	evaluation  []int32 // of each: the step and the restart that it is of
	evaluations int     // how many there are
	// counts reports whether an evaluation counts in a consensus on an object with a box; nil if all do.
	counts func(evaluation int, b Box) bool
}

// evaluation is what one evaluation of the decoder found.
type evaluation struct {
	number int
	best   *torch.Tensor // of best
}

// best takes the best N of the N·K (box, class) pairs of every view: (B,N,7+params) on the device. In row j
// are the score, the proposal and the class of a pair, in no order, and then the box and the filter of
// proposal j.
func best(scores *torch.Tensor, o decoder.Output) *torch.Tensor {
	return scores.Scope().Hold(func() *torch.Tensor {
		n, classes := scores.Size(1), float64(scores.Size(2))
		value, index := scores.Flatten(1, 2).Topk(n, 1, true, false)
		at := index.ToDType(torch.Float64).Unsqueeze(2) // exact up to 2⁵³
		row := at.DivScalar(classes).Floor()
		pair := torch.Cat([]*torch.Tensor{row, at.Sub(row.MulScalar(classes))}, 2).ToDType(scores.DType())
		return torch.Cat([]*torch.Tensor{value.Unsqueeze(2), pair, o.Boxes, o.Filters}, 2)
	})
}

// candidates reads evaluations, in one copy with the answers of checks, and gives the candidates of each view that
// reach the least score. Candidates of whole passes are suppressed on the device, if it is a GPU.
func (p *pass) candidates(s *torch.Scope, least float64, checks []*sampler.Pending, from ...evaluation) ([]candidates, error) {
	out := make([]candidates, len(p.views))
	var read []*torch.Tensor
	var answered []*sampler.Pending
	for _, c := range checks {
		if c.Answers() != nil {
			read, answered = append(read, c.Answers()), append(answered, c)
		}
	}
	failed := func(values []torch.Array) error {
		for i, c := range answered {
			if err := c.Err(torch.ArrayValues[uint8](values[i])); err != nil {
				return err
			}
		}
		return nil
	}
	if len(from) == 0 {
		return out, failed(torch.Download(read...))
	}
	tensors := make([]*torch.Tensor, len(from))
	for k, e := range from {
		tensors[k] = s.Adopt(e.best)
	}
	all := s.Hold(func() *torch.Tensor { return torch.Stack(tensors, 0).ToDType(torch.Float32) }) // (E,B,N,7+params)
	evaluations, n := len(from), all.Size(2)
	read = append(read, all.Narrow(3, 0, filterColumn))
	suppressed := checks != nil && p.suppressesOn(p.model.device, evaluations*n)
	if suppressed {
		read = append(read, all.NMSRows(least, p.nms, p.apart(evaluations)))
	}
	values := torch.Download(read...)
	if err := failed(values); err != nil {
		return nil, err
	}
	values = values[len(answered):]
	rows := torch.ArrayValues[float32](values[0])
	filters := all.Narrow(3, filterColumn, all.Size(3)-filterColumn).Flatten(0, 2)
	at := make([][]int64, len(out)) // of each view: the candidate that a row has become
	for k, e := range from {
		for i := range out {
			out[i].rows = filters
			at[i] = out[i].add(at[i], rows[:n*filterColumn], (k*len(out)+i)*n, least, e.number)
			rows = rows[n*filterColumn:]
		}
	}
	if suppressed {
		kept := torch.ArrayValues[int32](values[1])
		for i := range out {
			of := kept[i*(evaluations*n+1):]
			out[i].order = make([]int64, of[0])
			for k := range out[i].order {
				out[i].order[k] = at[i][of[1+k]]
			}
		}
	}
	return out, nil
}

// suppressesOn reports whether non-maximum suppression of so many candidates of a view is done on a device.
func (s *settings) suppressesOn(device torch.Device, n int) bool {
	return device.IsCUDA() && s.nms >= 0 && !s.shiftClasses && n <= torch.MostNMSRows
}

// apart reports whether candidates of one evaluation do not suppress another one's.
func (s *settings) apart(evaluations int) bool { return s.ensemble.Consensus > 0 && evaluations > 1 }

// collected are the candidates of all evaluations that count, unless a check has failed.
func (p *pass) collected(s *torch.Scope, checks []*sampler.Pending) ([]candidates, error) {
	out, err := p.candidates(s, p.least(), checks, p.evaluations...)
	for i := range out {
		out[i].evaluations = p.number
	}
	p.forget()
	return out, err
}

// forget frees what evaluations found.
func (p *pass) forget() {
	for _, e := range p.evaluations {
		e.best.Close()
	}
	p.evaluations = nil
}

// Columns of best.
const scoreColumn, proposalColumn, classColumn, boxColumn, filterColumn = 0, 1, 2, 3, 7

// add takes the pairs of n rows of best without their filters, the first of which is row first of all, that reach the least score,
// and adds to at the candidate that each has become, or −1.
func (c *candidates) add(at []int64, rows []float32, first int, least float64, evaluation int) []int64 {
	row := func(k int) []float32 { return rows[k*filterColumn : (k+1)*filterColumn] }
	for k := range len(rows) / filterColumn {
		pair := row(k)
		if !(float64(pair[scoreColumn]) >= least) {
			at = append(at, -1)
			continue
		}
		at = append(at, int64(len(c.scores)))
		of := int(pair[proposalColumn])
		b := row(of)[boxColumn:]
		c.boxes = append(c.boxes, Box{X1: b[0], Y1: b[1], X2: b[2], Y2: b[3]})
		c.scores = append(c.scores, pair[scoreColumn])
		c.classes = append(c.classes, int64(pair[classColumn]))
		c.filters = append(c.filters, first+of)
		c.evaluation = append(c.evaluation, int32(evaluation))
	}
	return at
}

// filtersOf returns the filters of candidates, (n,params) on the device.
func (c candidates) filtersOf(s *torch.Scope, of []int64) *torch.Tensor {
	at := make([]int64, len(of))
	for i, k := range of {
		at[i] = int64(c.filters[k])
	}
	return c.rows.IndexSelect(0, torch.From(s, at).To(c.rows.Device()))
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
	for _, o := range p.rescore(s, i, c, objects) {
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
		Stride: p.maskStride(), InputW: v.width, InputH: v.height, OutputW: v.part.Dx(), OutputH: v.part.Dy(), Threshold: 0.5,
	}
	var out []*mask.Bitmap
	for len(out) < len(voters) {
		mark := s.Mark()
		var of []int64
		var weights []float32
		var within []image.Rectangle
		first, last := len(out), len(out)
		for bytes := int64(0); last < len(voters); last++ {
			if bytes += int64(len(voters[last])) * maskSize(areas[last]); bytes > maskBytes && last > first {
				break
			}
			for _, k := range voters[last] {
				of = append(of, k)
				weights = append(weights, c.scores[k])
				within = append(within, areas[last])
			}
		}
		masks := head.Masks(features, c.filtersOf(s, of), within, geometry)
		for j := first; j < last; j++ {
			k := len(voters[j])
			out = append(out, majority(masks[:k], weights[:k], areas[j]))
			masks, weights = masks[k:], weights[k:]
		}
		s.Release(mark)
	}
	return out
}
