package train

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/torch"
)

// matches are the pairs of a proposal and a ground truth in a batch, sample by sample
// and by proposal.
type matches struct {
	rows    []int64   // b·N + proposal
	classes []int64   // of the ground truths
	boxes   []float32 // of the ground truths: x1 y1 x2 y2 in pixels
	sizes   []float32 // of their pictures: w h w h
	images  []int64   // of the pictures in the batch
	truths  []int64   // of the ground truths, among all of the batch
	total   int       // proposals in the batch, B·N

	// What settle says, where the batch is part of a larger one.
	others int     // matches in the other parts
	chosen []int64 // classes that count in a federated loss, ascending
}

// count is what losses are divided by.
func (m *matches) count() float64 { return float64(max(len(m.rows)+m.others, 1)) }

// match assigns a stage's proposals to the ground truths of each sample.
func (o Objective) match(b *batch, out decoder.Output) *matches {
	s := out.Boxes.Scope()
	mark := s.Mark()
	defer s.Release(mark)
	n := int(out.Boxes.Size(1))
	rule := o.matching()
	boxes := torch.Values[float32](out.Boxes.Detach())
	m := &matches{total: n * len(b.samples)}
	before := 0 // objects of earlier samples
	for i, sample := range b.samples {
		g := len(sample.Objects)
		if g == 0 {
			continue
		}
		classes, truths := make([]int64, g), make([]float32, 0, 4*g)
		for j, object := range sample.Objects {
			classes[j] = int64(object.Class)
			truths = append(truths, object.Box.X1, object.Box.Y1, object.Box.X2, object.Box.Y2)
		}
		logits := out.Logits.Detach().Select(0, int64(i))
		prob := logits.IndexSelect(1, torch.From(s, classes).To(logits.Device())).ToDType(torch.Float32).Sigmoid()
		w, h := float32(sample.Width), float32(sample.Height)
		cost, iou := rule.costs(torch.Values[float32](prob), boxes[4*n*i:4*n*(i+1)], truths, [2]float32{w, h})
		for p, j := range rule.match(cost, iou, n, g) {
			if j == unmatched {
				continue
			}
			m.rows = append(m.rows, int64(i*n+p))
			m.classes = append(m.classes, classes[j])
			m.boxes = append(m.boxes, truths[4*j:4*j+4]...)
			m.sizes = append(m.sizes, w, h, w, h)
			m.images, m.truths = append(m.images, int64(i)), append(m.truths, int64(before+j))
		}
		before += g
	}
	return m
}
