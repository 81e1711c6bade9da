package train

import "slices"

// unmatched is a proposal without a ground truth.
const unmatched = -1

// simOTA assigns ground truths to proposals (Ge et al., YOLOX, arXiv 2107.08430).
type simOTA struct {
	costWeights
	bestIoUs  int  // number of a ground truth's best IoUs whose sum is the number of its proposals
	reference bool // see rescue
}

// assign returns the ground truth of each of n proposals, or unmatched. Each of g ground
// truths takes its k cheapest proposals, k being the sum of its best IoUs rounded down,
// at least 1; a proposal that is taken twice goes to the ground truth for which it is
// cheapest; ground truths left without a proposal are rescued. cost and iou are n×g, row by row.
//
// It always terminates, and of equal costs the lower index wins. With fewer proposals
// than ground truths every proposal is taken and some ground truths get none.
func (m simOTA) assign(cost, iou []float32, n, g int) []int {
	of := make([]int, n)
	takers := make([]int, n)
	for i := range of {
		of[i] = unmatched
	}
	for j := range g {
		var sum float32
		for _, i := range first(n, m.bestIoUs, func(a, b int) bool { return iou[a*g+j] > iou[b*g+j] }) {
			sum += iou[i*g+j]
		}
		for _, i := range first(n, max(int(sum), 1), func(a, b int) bool { return cost[a*g+j] < cost[b*g+j] }) {
			of[i] = j
			takers[i]++
		}
	}
	for i := range of {
		if takers[i] > 1 {
			of[i] = cheapest(cost[i*g : (i+1)*g])
		}
	}
	m.rescue(of, cost, n, g)
	return of
}

// first are the k of 0 … n−1 that come first by before, in order; of equals the lower.
func first(n, k int, before func(a, b int) bool) []int {
	out := make([]int, 0, k+1)
	for i := range n {
		at := len(out)
		for at > 0 && before(i, out[at-1]) {
			at--
		}
		if at < k {
			out = slices.Insert(out, at, i)
			out = out[:min(len(out), k)]
		}
	}
	return out
}

// rescue gives ground truths without a proposal the cheapest that is free. Of two that
// want the same, the one it is cheaper for gets it and the other looks again; in the
// reference's way the first gets it and the other goes without. Each round takes at
// least one proposal or ends the search.
func (m simOTA) rescue(of []int, cost []float32, n, g int) {
	given := make([]bool, g)
	for {
		free := 0
		for _, j := range of {
			if j == unmatched {
				free++
				continue
			}
			given[j] = true
		}
		if free == 0 || !slices.Contains(given, false) {
			return
		}
		wanted := map[int]int{}
		for j := range g {
			if given[j] {
				continue
			}
			best := unmatched
			for i := range n {
				if of[i] == unmatched && (best == unmatched || cost[i*g+j] < cost[best*g+j]) {
					best = i
				}
			}
			if other, taken := wanted[best]; !taken || (!m.reference && cost[best*g+j] < cost[best*g+other]) {
				wanted[best] = j
			}
			given[j] = m.reference
		}
		for i, j := range wanted {
			of[i] = j
		}
	}
}

// cheapest is the index of the least cost.
func cheapest(costs []float32) int {
	best := 0
	for j, c := range costs {
		if c < costs[best] {
			best = j
		}
	}
	return best
}
