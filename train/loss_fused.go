package train

import (
	"slices"

	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// On a GPU all stages' losses are computed at once by kernels: see torch.StageLosses. What they need is uploaded in two
// copies, the objects before the forward pass and the plan, which says who is matched with whom, after matching.

// fuses reports whether losses are.
func (t *Trainer) fuses() bool {
	_, fits := t.config.MaskHead.Fused(t.device)
	return t.device.IsCUDA() && !t.options.Eager && fits
}

// stageTargets are the boxes, sizes and kinds of torch.StageTargets; drawn says which of all objects have pixels.
func stageTargets(samples []data.Sample, objects int, drawn []int64) []torch.Array {
	boxes := make([]float32, 0, 4*objects)
	var sizes []float32
	kinds := make([]int64, 0, 2*objects)
	for _, s := range samples {
		boxes = append(boxes, truths(s)...)
		sizes = append(sizes, float32(s.Width), float32(s.Height))
		for _, o := range s.Objects {
			kinds = append(kinds, int64(o.Class))
		}
	}
	kinds = append(kinds, drawn...)
	return []torch.Array{torch.ArrayOf(boxes, objects, 4), torch.ArrayOf(sizes, len(samples), 2), torch.ArrayOf(kinds, 2, objects)}
}

// drawn is 1 for each of a number of objects that has a pixel in its mask target, in bits or parts, else 0.
func drawn(bits []uint8, parts []float32, objects int) []int64 {
	out := make([]int64, objects)
	n, m := len(bits)/max(objects, 1), len(parts)/max(objects, 1)
	for i := range out {
		if slices.ContainsFunc(bits[i*n:(i+1)*n], func(v uint8) bool { return v > 0 }) ||
			slices.ContainsFunc(parts[i*m:(i+1)*m], func(v float32) bool { return v > 0 }) {
			out[i] = 1
		}
	}
	return out
}

// lossPlan is the Plan of torch.StageTargets. classes is the number of them if a part of them counts, else 0.
func lossPlan(pairs []*matchedPairs, common []settled, classes int) []int64 {
	matched := 0
	for _, m := range pairs {
		matched += len(m.rows)
	}
	stages, total := len(pairs), pairs[0].total
	plan := make([]int64, stages*total+3*matched+2*stages+1+stages*classes)
	of := plan[:stages*total]
	rows := plan[len(of):][:matched]
	images := plan[len(of)+matched:][:matched]
	truths := plan[len(of)+2*matched:][:matched]
	first := plan[len(of)+3*matched:][:stages+1]
	divisors := plan[len(of)+3*matched+stages+1:][:stages]
	columns := plan[len(of)+3*matched+2*stages+1:]
	for i := range of {
		of[i] = -1
	}
	at := 0
	for k, m := range pairs {
		for i, row := range m.rows {
			row += int64(k * total)
			of[row], rows[at+i], images[at+i], truths[at+i] = int64(at+i), row, m.images[i], m.truths[i]
		}
		at += len(m.rows)
		first[k+1], divisors[k] = int64(at), int64(common[k].divisor())
		if classes > 0 {
			for _, c := range common[k].classes {
				columns[k*classes+int(c)] = 1
			}
		}
	}
	return plan
}

// fused returns share times the terms, (terms).
func (o Objective) fused(p *pass, head maskhead.Head, common []settled, share float64) *torch.Tensor {
	s := p.scope
	classes := 0
	if o.Federated != nil {
		classes = p.stages[0].Logits.Size(2)
	}
	targets := *p.batch.targets
	targets.Plan = s.Upload(p.features.Device(), torch.ArrayOf(lossPlan(p.pairs, common, classes)))[0]
	layers, _ := head.Fused(p.features.Device())
	l := torch.StageLosses{
		Weights: [4]float64{share * o.ClassWeight, share * o.L1Weight, share * o.GIoUWeight, share * o.MaskWeight},
		Alpha:   o.Alpha, Gamma: o.Gamma, Plain: o.NoFocal, Columns: classes > 0, Layers: layers,
		Quality: map[ScoreTarget]torch.Quality{ScoreBoxIoU: torch.QualityBox, ScoreMaskIoU: torch.QualityMask}[o.ScoreTarget],
	}
	features, matched := p.features, int64(0)
	for k, m := range p.pairs {
		l.Pairs += len(m.rows)
		matched += common[k].pairs
	}
	if matched == 0 {
		features = features.Detach() // nothing is learnt of masks
	}
	var logits, boxes, filters []*torch.Tensor
	order := o.order(len(p.stages))
	for _, i := range order {
		stage := p.stages[i]
		if l.Pairs == 0 {
			stage.Filters = stage.Filters.Detach()
		}
		logits, boxes, filters = append(logits, stage.Logits), append(boxes, stage.Boxes), append(filters, stage.Filters)
	}
	terms := l.Of(features, logits, boxes, filters, targets)
	if len(o.Extra) == 0 {
		return terms.Reshape(-1)
	}
	var parts []*torch.Tensor
	for k, i := range order {
		parts = append(parts, terms.Select(0, k), torch.Stack(o.extras(p, common[k], k, i), 0).MulScalar(share))
	}
	return torch.Cat(parts, 0)
}
