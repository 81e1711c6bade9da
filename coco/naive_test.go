package coco

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// naive evaluates boxes straight from the rules of the COCO and LVIS APIs, one
// number at a time, as a second opinion on Evaluate.
type naive struct {
	data   *Dataset
	dets   []Result
	style  Style
	images map[int64]*Image
}

func (n *naive) metrics(maxDets []int) map[string]float64 {
	n.images = map[int64]*Image{}
	for i := range n.data.Images {
		n.images[n.data.Images[i].ID] = &n.data.Images[i]
	}
	n.dets = slices.Clone(n.dets)
	sort.SliceStable(n.dets, func(a, b int) bool { return n.dets[a].Score > n.dets[b].Score })
	out := map[string]float64{}
	suffix := map[string]string{"all": "", "small": "s", "medium": "m", "large": "l"}
	for _, area := range StandardAreas() {
		ap, at := map[string]*mean{}, map[int]*mean{}
		recalls := map[int]*mean{}
		for _, m := range maxDets {
			recalls[m] = &mean{}
		}
		for _, key := range []string{"", "r", "c", "f"} {
			ap[key] = &mean{}
		}
		for t := range 10 {
			at[t] = &mean{}
			for _, c := range n.data.Categories {
				for _, m := range maxDets {
					precision, recall, ok := n.curve(c.ID, area, .5+.05*float64(t), m)
					if !ok {
						continue
					}
					recalls[m].add(recall)
					if m != maxDets[len(maxDets)-1] {
						continue
					}
					for _, p := range precision {
						ap[""].add(p)
						at[t].add(p)
						if c.Frequency != "" {
							ap[c.Frequency].add(p)
						}
					}
				}
			}
		}
		s := suffix[area.Name]
		out["AP"+s] = ap[""].value()
		last := maxDets[len(maxDets)-1]
		if s == "" {
			out["AP50"], out["AP75"] = at[0].value(), at[5].value()
		}
		if n.style == LVIS {
			out["AR"+s+"@"+strconv.Itoa(last)] = recalls[last].value()
			if s == "" {
				for _, f := range frequencies {
					out["AP"+f] = ap[f].value()
				}
			}
			continue
		}
		for _, m := range maxDets {
			if s == "" {
				out["AR"+strconv.Itoa(m)] = recalls[m].value()
			}
		}
		if s != "" {
			out["AR"+s] = recalls[last].value()
		}
	}
	return out
}

// curve is the precision at 101 recalls and the recall reached.
func (n *naive) curve(category int64, area AreaRange, threshold float64, maxDets int) ([]float64, float64, bool) {
	type hit struct {
		score float64
		tp    bool
	}
	var hits []hit
	objects := 0
	ids := []int64{}
	for id := range n.images {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		truths, ignored := []Annotation{}, []bool{}
		for pass := range 2 { // those that count first
			for _, a := range n.data.Annotations {
				skip := a.Area < area.Min || a.Area > area.Max || n.style == COCO && a.Crowd || n.style == LVIS && a.Ignore
				if a.ImageID == id && a.CategoryID == category && skip == (pass == 1) {
					truths, ignored = append(truths, a), append(ignored, skip)
				}
			}
		}
		for _, skip := range ignored {
			if !skip {
				objects++
			}
		}
		taken := make([]bool, len(truths))
		seen, ofImage := 0, 0
		for _, d := range n.dets {
			if d.ImageID != id {
				continue
			}
			if ofImage++; n.style == LVIS && ofImage > maxDets {
				break
			}
			if d.CategoryID != category {
				continue
			}
			if seen++; n.style == COCO && seen > maxDets {
				break
			}
			m := n.images[id]
			if n.style == LVIS && len(truths) == 0 && !slices.Contains(m.NegCategoryIDs, category) {
				continue
			}
			best, at := math.Min(threshold, 1-1e-10), -1
			for g, a := range truths {
				crowd := n.style == COCO && a.Crowd
				if taken[g] && !crowd || at >= 0 && !ignored[at] && ignored[g] {
					continue
				}
				if v := overlap(d.BBox, a.BBox, crowd); v >= best {
					best, at = v, g
				}
			}
			own := d.BBox[2] * d.BBox[3]
			switch {
			case at >= 0:
				taken[at] = true
				if !ignored[at] {
					hits = append(hits, hit{d.Score, true})
				}
			case own < area.Min || own > area.Max:
			case n.style == LVIS && slices.Contains(m.NotExhaustiveCategoryIDs, category):
			default:
				hits = append(hits, hit{d.Score, false})
			}
		}
	}
	if objects == 0 {
		return nil, 0, false
	}
	sort.SliceStable(hits, func(a, b int) bool { return hits[a].score > hits[b].score })
	precision := make([]float64, 101)
	tp := 0
	for i, h := range hits {
		if h.tp {
			tp++
		}
		for r := range precision {
			if float64(tp)/float64(objects) >= linspace(0, 1, 101)[r] {
				precision[r] = math.Max(precision[r], float64(tp)/float64(i+1))
			}
		}
	}
	return precision, float64(tp) / float64(objects), true
}

func overlap(d, g [4]float64, crowd bool) float64 {
	w := math.Min(d[0]+d[2], g[0]+g[2]) - math.Max(d[0], g[0])
	h := math.Min(d[1]+d[3], g[1]+g[3]) - math.Max(d[1], g[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	if crowd {
		return w * h / (d[2] * d[3])
	}
	return w * h / (d[2]*d[3] + g[2]*g[3] - w*h)
}

// boxes draws a small problem with ties, crowds and images without anything.
func boxes(seed uint64) (*Dataset, []Result) {
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func(v ...float64) float64 { return v[rng.IntN(len(v))] }
	ids := []int64{3, 1, 7, 20}
	d := &Dataset{}
	for i, id := range ids {
		d.Categories = append(d.Categories, Category{ID: id, Name: fmt.Sprint(id), Frequency: frequencies[i%3]})
	}
	var dets []Result
	for i := range 10 {
		m := Image{ID: int64(1000 - i*37), Width: 400, Height: 300, NegCategoryIDs: []int64{}, NotExhaustiveCategoryIDs: []int64{}}
		for _, id := range ids {
			if rng.IntN(3) == 0 {
				m.NegCategoryIDs = append(m.NegCategoryIDs, id)
			}
			if rng.IntN(6) == 0 {
				m.NotExhaustiveCategoryIDs = append(m.NotExhaustiveCategoryIDs, id)
			}
		}
		d.Images = append(d.Images, m)
		first := len(d.Annotations)
		for range int(pick(0, 0, 3, 8)) {
			b := [4]float64{float64(rng.IntN(200)), float64(rng.IntN(150)), pick(10, 32, 40, 96, 150), pick(12, 32, 50, 96, 120)}
			d.Annotations = append(d.Annotations, Annotation{ID: int64(len(d.Annotations) + 1), ImageID: m.ID, CategoryID: ids[rng.IntN(3)],
				BBox: b, HasBBox: true, Area: b[2] * b[3] * pick(1, .7), HasArea: true, Crowd: rng.IntN(8) == 0, Ignore: rng.IntN(8) == 0})
		}
		objects := d.Annotations[first:]
		for range int(pick(0, 4, 20, 45)) {
			r := Result{ImageID: m.ID, CategoryID: ids[rng.IntN(4)], Score: pick(.1, .2, .3, .4, .5, .6, .7, .8, .9), HasBBox: true,
				BBox: [4]float64{pick(0, 50), pick(0, 50), pick(16, 32, 96), pick(16, 32, 96)}}
			if len(objects) > 0 && rng.IntN(5) > 0 {
				a := objects[rng.IntN(len(objects))]
				r.BBox, r.CategoryID = a.BBox, a.CategoryID
				for k := range r.BBox {
					r.BBox[k] += float64(rng.IntN(7) - 3)
				}
			}
			dets = append(dets, r)
		}
	}
	rng.Shuffle(len(dets), func(i, j int) { dets[i], dets[j] = dets[j], dets[i] })
	return d, dets
}

func TestEvaluateAgainstNaive(t *testing.T) {
	for seed := range uint64(12) {
		d, dets := boxes(seed)
		for style, maxDets := range map[Style][]int{COCO: {1, 3, 12}, LVIS: {25}} {
			want := (&naive{data: d, dets: dets, style: style}).metrics(maxDets)
			report, err := Evaluate(t.Context(), d, dets, Options{IoU: BBox, Style: style, MaxDets: maxDets})
			require.NoError(t, err)
			require.Len(t, report.Metrics, len(want))
			for _, m := range report.Metrics {
				require.InDelta(t, want[m.Name], m.Value, 1e-12, "seed %d, %s, %s", seed, style, m.Name)
			}
		}
	}
}
