package train

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// A StageLoss is a term of your own in an Objective.
type StageLoss interface {
	// Name returns the term's name in reports, such as loss_center.
	Name() string
	// Loss returns a scalar tensor, with its weight in the sum, made of the predictions
	// of a decoder stage by operators that have gradients. It is called for every
	// supervised stage, and with Options.Replicas for all parts of a batch at once,
	// whose terms are added.
	Loss(p StagePrediction) *torch.Tensor
}

// A StagePrediction is the output of a decoder stage for a batch.
type StagePrediction struct {
	Stage    int // from 0
	Samples  []data.Sample
	Logits   *torch.Tensor // (B,N,K): class scores before the sigmoid
	Boxes    *torch.Tensor // (B,N,4): x1 y1 x2 y2 in pixels
	Filters  *torch.Tensor // (B,N,F): of the dynamic mask head
	Features *torch.Tensor // (B,C,H/4,W/4): mask features
	Pairs    []MatchedPair // by sample and proposal
	// Divisor is the number of matches in the whole batch, at least 1, by which the
	// objective's own terms are divided. With Options.Replicas, Samples are a part of it.
	Divisor float64
}

// A MatchedPair is a proposal and the object that it is matched with.
type MatchedPair struct {
	Sample   int // in the batch
	Proposal int
	Object   int // of Sample.Objects
}

// exported are the pairs for those who write a StageLoss.
func (m *matchedPairs) exported(samples []data.Sample) []MatchedPair {
	per := m.total / max(len(samples), 1)
	first := make([]int64, len(samples)) // of each sample's objects, among all of the batch
	for i := 1; i < len(samples); i++ {
		first[i] = first[i-1] + int64(len(samples[i-1].Objects))
	}
	out := make([]MatchedPair, len(m.rows))
	for k, row := range m.rows {
		i := m.images[k]
		out[k] = MatchedPair{int(i), int(row) % per, int(m.truths[k] - first[i])}
	}
	return out
}

// checkExtra refuses terms without a name of their own.
func (o Objective) checkExtra() error {
	seen := map[string]bool{"loss_ce": true, "loss_bbox": true, "loss_giou": true, "loss_masks": true}
	for i, e := range o.Extra {
		if e == nil || e.Name() == "" || seen[e.Name()] {
			return fmt.Errorf("train: objective: extra loss %d has no name of its own", i)
		}
		seen[e.Name()] = true
	}
	return nil
}
