package train

// stageTotals is what the losses of one decoder stage need to know about the whole batch,
// of which every replica has seen a part only. It is made of sums over the replicas,
// so that a process group can compute it by one all-reduce.
type stageTotals struct {
	proposals int64   // number of proposals, B·N
	matches   []int64 // number of matched pairs per class
}

// add adds the totals of another part of the batch.
func (t *stageTotals) add(o stageTotals) {
	t.proposals += o.proposals
	for class, n := range o.matches {
		t.matches[class] += n
	}
}

// pairs returns the number of matched pairs of all classes.
func (t stageTotals) pairs() int64 {
	var sum int64
	for _, n := range t.matches {
		sum += n
	}
	return sum
}

// totals counts the pairs by class.
func (m *matchedPairs) totals(classes int) stageTotals {
	t := stageTotals{proposals: int64(m.total), matches: make([]int64, classes)}
	for _, class := range m.classes {
		t.matches[class]++
	}
	return t
}

// settled is what the losses of one stage take from the totals of the whole batch.
type settled struct {
	pairs   int64   // number of matched pairs
	classes []int64 // classes that count in a federated loss, ascending; nil without one
}

// divisor returns the number that sums over matched pairs are divided by.
func (s settled) divisor() float64 { return float64(max(s.pairs, 1)) }

// settle derives from the totals of the whole batch, stage by stage in the objective's
// order, what the losses of every replica use. It draws the classes of a federated loss.
func (o Objective) settle(totals []stageTotals, draws Draws) []settled {
	out := make([]settled, len(totals))
	for i, t := range totals {
		out[i].pairs = t.pairs()
		if o.Federated != nil {
			out[i].classes = o.Federated.choose(t, draws)
		}
	}
	return out
}
