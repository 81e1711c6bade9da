package train

import (
	"slices"

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

// match assigns the proposals of the supervised stages, in the objective's order, to the ground truths of each
// sample. What it needs of the predictions comes from the device in one copy, with finite, which may be nil: see
// decoder.Refine. An error is that of decoder.NotFinite.
func (o Objective) match(b *batch, stages []decoder.Output, finite *torch.Tensor) ([]*matchedPairs, error) {
	order := o.order(len(stages))
	var wanted []*torch.Tensor
	for _, i := range order {
		wanted = append(wanted, stages[i].Boxes, b.classScores(stages[i].Logits))
	}
	values, err := together(wanted, finite)
	if err != nil {
		return nil, err
	}
	n, images := stages[0].Boxes.Size(1), len(b.samples)
	rule := o.assigner()
	found := make([][]int, len(order)*images) // of each sample at each stage: its proposals' ground truths
	relay.Each(len(found), len(found), func(at int) {
		k, i := at/images, at%images
		boxes, prob, sample := values[2*k], values[2*k+1], b.samples[i]
		g := len(sample.Objects)
		scores := make([]float32, 0, n*g)
		for p := range n {
			scores = append(scores, prob[(i*n+p)*b.most:][:g]...)
		}
		cost, iou := rule.costs(scores, boxes[4*n*i:4*n*(i+1)], truths(sample), [2]float32{float32(sample.Width), float32(sample.Height)})
		found[at] = rule.assign(cost, iou, n, g)
	})
	out := make([]*matchedPairs, len(order))
	for k := range out {
		out[k] = pairsOf(b.samples, found[k*images:(k+1)*images], n)
	}
	return out, nil
}

// pairsOf makes pairs of the ground truth of each of n proposals of each sample.
func pairsOf(samples []data.Sample, found [][]int, n int) *matchedPairs {
	m := &matchedPairs{total: n * len(samples)}
	before := 0 // objects of earlier samples
	for i, sample := range samples {
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

// together returns the values of tensors, float32 or converted to it, by one copy from the device, with finite,
// which may be nil: see decoder.Refine. An error is that of decoder.NotFinite.
func together(tensors []*torch.Tensor, finite *torch.Tensor) ([][]float32, error) {
	s := tensors[0].Scope()
	mark := s.Mark()
	defer s.Release(mark)
	if finite != nil {
		tensors = append(slices.Clip(tensors), finite)
	}
	flat := make([]*torch.Tensor, len(tensors))
	for i, t := range tensors {
		if t = t.Detach(); t.DType() != torch.Float32 {
			t = t.ToDType(torch.Float32)
		}
		flat[i] = t.Reshape(-1)
	}
	all := torch.Values[float32](torch.Cat(flat, 0))
	out := make([][]float32, len(tensors))
	for i, t := range flat {
		n := t.Elements()
		out[i], all = all[:n], all[n:]
	}
	if finite != nil {
		if stage := slices.Index(out[len(out)-1], 0); stage >= 0 {
			return nil, decoder.NotFinite(stage)
		}
	}
	return out, nil
}

// truths are the boxes of a sample's objects.
func truths(s data.Sample) []float32 {
	out := make([]float32, 0, 4*len(s.Objects))
	for _, o := range s.Objects {
		out = append(out, o.Box.X1, o.Box.Y1, o.Box.X2, o.Box.Y2)
	}
	return out
}
