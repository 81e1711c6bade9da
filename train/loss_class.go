package train

import (
	"fmt"
	"slices"

	"github.com/diffusioninst/go/torch"
)

// Federated restricts the class loss, for data whose pictures are not labelled
// exhaustively (Zhou et al. 2021), to the classes that are present in the batch and
// others that are drawn. The rest do not count.
type Federated struct {
	// Weights says how likely each class is drawn: for LVIS, the square root of the
	// number of pictures that have it.
	Weights []float32
	// Classes is the number of classes that count: 50. Like the reference, proposals
	// without a ground truth count as one class.
	Classes int
}

func (f Federated) withDefaults(classes int) (*Federated, error) {
	if f.Classes == 0 {
		f.Classes = 50
	}
	if len(f.Weights) != classes {
		return nil, fmt.Errorf("train: federated loss: %d weights for %d classes", len(f.Weights), classes)
	}
	for i, w := range f.Weights {
		if !(w >= 0) {
			return nil, fmt.Errorf("train: federated loss: class %d has the weight %v", i, w)
		}
	}
	return &f, nil
}

// choose is the classes that count, ascending.
func (f Federated) choose(t stageTotals, draws Draws) []int64 {
	var chosen []int64
	for class, n := range t.matches {
		if n > 0 {
			chosen = append(chosen, int64(class))
		}
	}
	present := len(chosen)
	if t.pairs() < t.proposals {
		present++
	}
	if present < f.Classes {
		weights := slices.Clone(f.Weights)
		for _, c := range chosen {
			weights[c] = 0
		}
		for _, c := range draws.Classes(weights, f.Classes-present) {
			chosen = append(chosen, int64(c))
		}
		slices.Sort(chosen)
	}
	return chosen
}

// classLoss is the focal loss (Lin et al. 2017) of logits (B,N,K) over all proposals
// and classes that count, divided by the number of matches. The target of the matches is
// quality (M) if that is not nil, in the quality focal loss (Li et al., arXiv 2006.04388).
func (o Objective) classLoss(m *matchedPairs, all settled, logits, quality *torch.Tensor) *torch.Tensor {
	s := logits.Scope()
	x := exact(logits.Flatten(0, 1))
	like := torch.Options{DType: x.DType(), Device: x.Device()}
	column := func(class int64) int64 { return class }
	if o.Federated != nil {
		x = x.IndexSelect(1, torch.From(s, all.classes).To(x.Device()))
		column = func(class int64) int64 {
			i, _ := slices.BinarySearch(all.classes, class)
			return int64(i)
		}
	}
	shape := x.Shape()
	target := s.Zeros(like, shape[0]*shape[1])
	if len(m.rows) > 0 {
		at := make([]int64, len(m.rows))
		for i, row := range m.rows {
			at[i] = row*int64(shape[1]) + column(m.classes[i])
		}
		if quality == nil {
			quality = s.Full(1, like, len(at))
		}
		target = target.IndexCopy(0, torch.From(s, at).To(x.Device()), quality.ToDType(x.DType()))
	}
	target = target.Reshape(shape...)
	loss := x.BCEWithLogits(target, nil, nil, 0)
	if !o.NoFocal {
		loss = loss.Mul(o.focalWeight(x, target))
	}
	return loss.Sum().DivScalar(all.divisor())
}

// focalWeight is α_t·(1−p_t)^γ or, in the quality focal loss, |p−target|^γ. With targets of 0
// and 1, 1−p_t is |p−target|.
func (o Objective) focalWeight(x, target *torch.Tensor) *torch.Tensor {
	far := x.Sigmoid().Sub(target).Abs().PowScalar(o.Gamma)
	if o.ScoreTarget != ScoreOne {
		return far
	}
	return far.Mul(target.MulScalar(2*o.Alpha - 1).AddScalar(1 - o.Alpha))
}
