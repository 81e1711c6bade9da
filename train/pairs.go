package train

import (
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/relay"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// matchedPairs are the pairs of a proposal and a ground truth of a batch at one decoder
// stage, ordered by sample and then by proposal.
type matchedPairs struct {
	rows    []int64   // b·N + proposal
	classes []int64   // of the ground truths
	boxes   []float32 // of the ground truths: x1 y1 x2 y2 in pixels
	sizes   []float32 // of their pictures: w h w h
	images  []int64   // of the pictures in the batch
	truths  []int64   // of the ground truths, among all of the batch
	total   int       // proposals in the batch, B·N
}

// match assigns a stage's proposals to the ground truths of each sample.
func (o Objective) match(b *batch, out decoder.Output) *matchedPairs {
	n := out.Boxes.Size(1)
	boxes := torch.Values[float32](out.Boxes.Detach())
	prob, most := classScores(b, out.Logits)
	rule := o.assigner()
	found := make([][]int, len(b.samples)) // of each sample: its proposals' ground truths
	relay.Each(len(b.samples), len(b.samples), func(i int) {
		sample := b.samples[i]
		g := len(sample.Objects)
		scores := make([]float32, 0, n*g)
		for p := range n {
			row := prob[(i*n+p)*most:]
			scores = append(scores, row[:g]...)
		}
		cost, iou := rule.costs(scores, boxes[4*n*i:4*n*(i+1)], truths(sample), [2]float32{float32(sample.Width), float32(sample.Height)})
		found[i] = rule.assign(cost, iou, n, g)
	})
	m := &matchedPairs{total: n * len(b.samples)}
	before := 0 // objects of earlier samples
	for i, sample := range b.samples {
		w, h := float32(sample.Width), float32(sample.Height)
		for p, j := range found[i] {
			if j == unmatched {
				continue
			}
			object := sample.Objects[j]
			m.rows = append(m.rows, int64(i*n+p))
			m.classes = append(m.classes, int64(object.Class))
			m.boxes = append(m.boxes, object.Box.X1, object.Box.Y1, object.Box.X2, object.Box.Y2)
			m.sizes = append(m.sizes, w, h, w, h)
			m.images, m.truths = append(m.images, int64(i)), append(m.truths, int64(before+j))
		}
		before += len(sample.Objects)
	}
	return m
}

// classScores are every proposal's scores of the classes of its picture's objects, from
// logits (B,N,K): B×N×most row by row, most being the greatest number of objects.
func classScores(b *batch, logits *torch.Tensor) (scores []float32, most int) {
	s := logits.Scope()
	mark := s.Mark()
	defer s.Release(mark)
	for _, sample := range b.samples {
		most = max(most, len(sample.Objects))
	}
	if most == 0 {
		return nil, 0
	}
	classes := make([]int64, len(b.samples)*most)
	for i, sample := range b.samples {
		for j, object := range sample.Objects {
			classes[i*most+j] = int64(object.Class)
		}
	}
	images := len(b.samples)
	index := torch.From(s, classes, images, 1, most).To(logits.Device()).Expand(-1, logits.Size(1), -1)
	return torch.Values[float32](logits.Detach().Gather(2, index).ToDType(torch.Float32).Sigmoid()), most
}

// truths are the boxes of a sample's objects.
func truths(s data.Sample) []float32 {
	out := make([]float32, 0, 4*len(s.Objects))
	for _, o := range s.Objects {
		out = append(out, o.Box.X1, o.Box.Y1, o.Box.X2, o.Box.Y2)
	}
	return out
}
