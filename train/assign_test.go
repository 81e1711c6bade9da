package train

import (
	compare "cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var paperRule = simOTA{costWeights: costWeights{class: 2, l1: 5, giou: 2, alpha: 0.25, gamma: 2, focal: true}, bestIoUs: 5}

// scene draws n proposals, g ground truths and the scores between them on 100×80 pixels.
func scene(seed uint64, n, g int) (prob, boxes, truths []float32) {
	r := rand.New(rand.NewPCG(seed, 1))
	box := func() []float32 {
		x, y := r.Float32()*80, r.Float32()*60
		return []float32{x, y, x + 2 + r.Float32()*40, y + 2 + r.Float32()*40}
	}
	for range g {
		truths = append(truths, box()...)
	}
	for range n {
		b := box()
		if g > 0 && r.IntN(2) == 0 {
			copy(b, truths[4*r.IntN(g):])
			for k := range b {
				b[k] += r.Float32() - 0.5
			}
		}
		boxes = append(boxes, b...)
	}
	for range n * g {
		prob = append(prob, r.Float32())
	}
	return prob, boxes, truths
}

// plainCost restates the cost of one proposal and one ground truth in float64, and
// whether the proposal is at this ground truth's centre, or near it at all.
func plainCost(m costWeights, p float64, box, truth []float32) (cost, iou float64, centred, near bool) {
	var b, t [4]float64
	for k := range b {
		b[k], t[k] = float64(box[k]), float64(truth[k])
	}
	l1 := 0.0
	for k, size := range []float64{100, 80, 100, 80} {
		l1 += math.Abs(b[k]-t[k]) / size
	}
	area := func(x1, y1, x2, y2 float64) float64 { return math.Max(x2-x1, 0) * math.Max(y2-y1, 0) }
	common := area(math.Max(b[0], t[0]), math.Max(b[1], t[1]), math.Min(b[2], t[2]), math.Min(b[3], t[3]))
	union := area(b[0], b[1], b[2], b[3]) + area(t[0], t[1], t[2], t[3]) - common
	hull := area(math.Min(b[0], t[0]), math.Min(b[1], t[1]), math.Max(b[2], t[2]), math.Max(b[3], t[3]))
	iou = common / union
	giou := iou - (hull-union)/hull
	positive, negative := -math.Log(p+1e-8), -math.Log(1-p+1e-8)
	if m.focal {
		positive, negative = m.alpha*math.Pow(1-p, m.gamma)*positive, (1-m.alpha)*math.Pow(p, m.gamma)*negative
	}
	x, y, cx, cy := (b[0]+b[2])/2, (b[1]+b[3])/2, (t[0]+t[2])/2, (t[1]+t[3])/2
	inside := x > t[0] && x < t[2] && y > t[1] && y < t[3]
	region := math.Abs(x-cx) < 2.5*(t[2]-t[0]) && math.Abs(y-cy) < 2.5*(t[3]-t[1])
	cost = float64(m.class)*(positive-negative) + float64(m.l1)*l1 - float64(m.giou)*giou
	return cost, iou, inside && region, inside || region
}

func TestCostsAgainstARestatement(t *testing.T) {
	plain := paperRule.costWeights
	plain.focal = false
	odd := paperRule.costWeights
	odd.gamma, odd.alpha = 1.5, 0.6
	for name, m := range map[string]costWeights{"focal": paperRule.costWeights, "federated without focal": plain, "other constants": odd} {
		t.Run(name, func(t *testing.T) {
			const n, g = 40, 5
			prob, boxes, truths := scene(3, n, g)
			boxes = append(boxes[:4*(n-1)], 900, 900, 910, 910) // far from everything
			cost, iou := m.costs(prob, boxes, truths, [2]float32{100, 80})
			lost := 0
			for i := range n {
				anywhere := false
				want := make([]float64, g)
				for j := range g {
					c, overlap, centred, near := plainCost(m, float64(prob[i*g+j]), boxes[4*i:], truths[4*j:])
					if !centred {
						c += 100
					}
					anywhere = anywhere || near
					want[j] = c
					require.InDelta(t, overlap, iou[i*g+j], 1e-5)
				}
				for j := range g {
					if !anywhere {
						want[j] += 10000
					}
					require.InEpsilon(t, want[j], cost[i*g+j], 1e-4, "proposal %d, ground truth %d", i, j)
				}
				if !anywhere {
					lost++
				}
			}
			require.Positive(t, lost)
		})
	}
}

// plainMatch restates the matching with repeated searches for the least.
func plainMatch(cost, iou []float32, n, g, best int) []int {
	takes := make([]map[int]bool, n)
	for i := range takes {
		takes[i] = map[int]bool{}
	}
	for j := range g {
		var ious []float64
		for i := range n {
			ious = append(ious, float64(iou[i*g+j]))
		}
		slices.Sort(ious)
		sum := 0.0
		for i := max(n-best, 0); i < n; i++ {
			sum += ious[i]
		}
		for range min(max(int(sum), 1), n) {
			at := -1
			for i := range n {
				if !takes[i][j] && (at < 0 || cost[i*g+j] < cost[at*g+j]) {
					at = i
				}
			}
			takes[at][j] = true
		}
	}
	of := make([]int, n)
	for i := range of {
		of[i] = unmatched
		for j := range takes[i] {
			of[i] = j
		}
		if len(takes[i]) > 1 {
			for j := range g {
				if cost[i*g+j] < cost[i*g+of[i]] {
					of[i] = j
				}
			}
		}
	}
	// Rescue, in rounds: who has none asks for the free proposal that is cheapest for it,
	// and every proposal goes to whom it is cheapest for among those who ask.
	for {
		asks := map[int][]int{}
		for j := range g {
			at := -1
			for i := range n {
				if of[i] == unmatched && (at < 0 || cost[i*g+j] < cost[at*g+j]) {
					at = i
				}
			}
			if at >= 0 && !slices.Contains(of, j) {
				asks[at] = append(asks[at], j)
			}
		}
		if len(asks) == 0 {
			return of
		}
		for i, who := range asks {
			of[i] = slices.MinFunc(who, func(a, b int) int { return compare.Compare(cost[i*g+a], cost[i*g+b]) })
		}
	}
}

func TestMatchAgainstARestatement(t *testing.T) {
	for _, size := range []struct{ n, g int }{{20, 3}, {50, 10}, {12, 12}, {5, 9}, {1, 4}, {3, 1}, {30, 25}, {4, 0}} {
		for seed := range uint64(40) {
			prob, boxes, truths := scene(seed, size.n, size.g)
			cost, iou := paperRule.costs(prob, boxes, truths, [2]float32{100, 80})
			got := paperRule.assign(cost, iou, size.n, size.g)
			want := plainMatch(cost, iou, size.n, size.g, 5)
			require.Empty(t, cmp.Diff(want, got), "%v, seed %d", size, seed)
		}
	}
}

func TestMatchGivesEveryGroundTruthAProposalWhileThereAreAny(t *testing.T) {
	for _, size := range []struct{ n, g int }{{40, 12}, {12, 12}, {7, 30}, {1, 100}, {60, 12}} {
		prob, boxes, truths := scene(9, size.n, size.g)
		cost, iou := paperRule.costs(prob, boxes, truths, [2]float32{100, 80})
		of := paperRule.assign(cost, iou, size.n, size.g)
		found := map[int]bool{}
		for _, j := range of {
			if j != unmatched {
				found[j] = true
			}
		}
		if len(found) < size.g {
			require.NotContains(t, of, unmatched, "%v: a ground truth goes without though a proposal is free", size)
		}
		require.Equal(t, size.g <= 12, len(found) == size.g, "%v", size)
		again := paperRule.assign(cost, iou, size.n, size.g)
		require.Equal(t, of, again, "deterministic")
	}
}

func TestMatchOfEqualCostsGoesToTheLowerIndex(t *testing.T) {
	cost, iou := make([]float32, 6*2), make([]float32, 6*2)
	require.Equal(t, []int{0, 1, unmatched, unmatched, unmatched, unmatched}, paperRule.assign(cost, iou, 6, 2))
}

func TestReferenceDropsTheLoserOfARescue(t *testing.T) {
	// All three ground truths want proposal 0 first, then proposal 1.
	cost := []float32{
		1, 2, 3,
		4, 5, 4.5,
		9, 9, 9,
		9, 9, 9,
	}
	iou := make([]float32, len(cost))
	require.Equal(t, []int{0, 2, 1, unmatched}, paperRule.assign(slices.Clone(cost), iou, 4, 3))
	m := paperRule
	m.reference = true
	require.Equal(t, []int{0, 1, unmatched, unmatched}, m.assign(slices.Clone(cost), iou, 4, 3))
}

func BenchmarkMatch(b *testing.B) {
	const n, g = 500, 20
	prob, boxes, truths := scene(1, n, g)
	for b.Loop() {
		cost, iou := paperRule.costs(prob, boxes, truths, [2]float32{100, 80})
		paperRule.assign(cost, iou, n, g)
	}
}
