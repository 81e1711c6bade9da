package coco

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Report is the result of Evaluate.
type Report struct {
	// Options are the evaluation's, defaults filled in.
	Options Options

	// Metrics are the numbers of the style, in its order: AP, AP50, AP75, APs, …
	// One is -1 where the data set has nothing to find.
	Metrics []Metric

	// Categories are the numbers of each category, by ascending id.
	Categories []CategoryReport

	curves []curve // by category
}

// A Metric is a number with its name.
type Metric struct {
	Name  string
	Value float64
}

// A CategoryReport holds the numbers of one category.
type CategoryReport struct {
	ID   int64
	Name string

	// Objects and Detections are how many of them count.
	Objects, Detections int

	// Metrics are AP, AP50, AP75, AR and the AP by area, with the largest number
	// of detections. One is -1 where the data set has nothing to find.
	Metrics []Metric
}

// Metric returns a number by its name and reports whether there is one.
func (r *Report) Metric(name string) (float64, bool) { return named(r.Metrics, name) }

// Metric returns a number by its name and reports whether there is one.
func (c *CategoryReport) Metric(name string) (float64, bool) { return named(c.Metrics, name) }

func named(metrics []Metric, name string) (float64, bool) {
	for _, m := range metrics {
		if m.Name == name {
			return m.Value, true
		}
	}
	return 0, false
}

// Precision returns the precision of a category at each of
// Options.RecallThresholds, for Options.Thresholds[threshold], Options.Areas[area]
// and Options.MaxDets[maxDets]; category is a place in Categories. All are -1 if
// there is nothing to find. An index out of range panics.
func (r *Report) Precision(category, threshold, area, maxDets int) []float64 {
	return r.values(r.curves[category].precision, threshold, area, maxDets)
}

// Scores returns the scores that a detection needs to reach these recalls, 0 where
// none does. The arguments and -1 are as in Precision.
func (r *Report) Scores(category, threshold, area, maxDets int) []float64 {
	return r.values(r.curves[category].scores, threshold, area, maxDets)
}

// Recall returns the part of a category's objects that is found. The arguments
// and -1 are as in Precision.
func (r *Report) Recall(category, threshold, area, maxDets int) float64 {
	A, M := len(r.Options.Areas), len(r.Options.MaxDets)
	return r.curves[category].recall[(threshold*A+area)*M+maxDets]
}

func (r *Report) values(all []float64, threshold, area, maxDets int) []float64 {
	R, A, M := len(r.Options.RecallThresholds), len(r.Options.Areas), len(r.Options.MaxDets)
	out := make([]float64, R)
	for i := range out {
		out[i] = all[((threshold*R+i)*A+area)*M+maxDets]
	}
	return out
}

// MeanPrecision returns the mean over the categories that have something to find of
// Precision.
func (r *Report) MeanPrecision(threshold, area, maxDets int) []float64 {
	out := make([]float64, len(r.Options.RecallThresholds))
	n := 0
	for k := range r.curves {
		if r.curves[k].objects[area] == 0 {
			continue
		}
		n++
		for i, p := range r.Precision(k, threshold, area, maxDets) {
			out[i] += p
		}
	}
	if n == 0 {
		return absent(len(out))
	}
	for i := range out {
		out[i] /= float64(n)
	}
	return out
}

// report summarises the curves.
func (e *evaluation) report(curves []curve) *Report {
	r := &Report{Options: e.Options, curves: curves}
	all := make([]int, len(curves))
	for k := range all {
		all[k] = k
	}
	last := len(e.MaxDets) - 1
	r.Metrics = append(r.Metrics, r.averagePrecisions(all)...)
	if e.Style == LVIS {
		groups := make([][]int, len(frequencies))
		for k, place := range e.categories {
			g := frequencyGroup(e.data.Categories[place].Frequency)
			groups[g] = append(groups[g], k)
		}
		for g, f := range frequencies {
			r.Metrics = append(r.Metrics, Metric{"AP" + f, r.averagePrecision(groups[g], -1, 0)})
		}
		for a := range e.Areas {
			r.Metrics = append(r.Metrics, Metric{"AR" + r.suffix(a) + "@" + strconv.Itoa(e.MaxDets[0]), r.averageRecall(all, a, 0)})
		}
	} else {
		for m, n := range e.MaxDets {
			r.Metrics = append(r.Metrics, Metric{"AR" + strconv.Itoa(n), r.averageRecall(all, 0, m)})
		}
		for a := 1; a < len(e.Areas); a++ {
			r.Metrics = append(r.Metrics, Metric{"AR" + r.suffix(a), r.averageRecall(all, a, last)})
		}
	}
	for k, place := range e.categories {
		c := &e.data.Categories[place]
		one := []int{k}
		r.Categories = append(r.Categories, CategoryReport{
			ID: c.ID, Name: c.Name, Objects: curves[k].objects[0], Detections: curves[k].detections,
			Metrics: append(r.averagePrecisions(one), Metric{"AR", r.averageRecall(one, 0, last)}),
		})
	}
	return r
}

// averagePrecisions are AP, AP at 0.5 and 0.75 if these are among the
// thresholds, and AP of the areas.
func (r *Report) averagePrecisions(categories []int) []Metric {
	out := []Metric{{"AP", r.averagePrecision(categories, -1, 0)}}
	for _, at := range []float64{0.5, 0.75} {
		t := slices.IndexFunc(r.Options.Thresholds, func(v float64) bool { return math.Abs(v-at) < 1e-9 })
		if t >= 0 {
			out = append(out, Metric{"AP" + strconv.Itoa(int(100*at)), r.averagePrecision(categories, t, 0)})
		}
	}
	for a := 1; a < len(r.Options.Areas); a++ {
		out = append(out, Metric{"AP" + r.suffix(a), r.averagePrecision(categories, -1, a)})
	}
	return out
}

// averagePrecision is the mean precision over thresholds (or at one, unless
// negative), recalls and those categories that have something to find, with the
// largest number of detections.
func (r *Report) averagePrecision(categories []int, threshold, area int) float64 {
	R, A, M := len(r.Options.RecallThresholds), len(r.Options.Areas), len(r.Options.MaxDets)
	from, to := threshold, threshold+1
	if threshold < 0 {
		from, to = 0, len(r.Options.Thresholds)
	}
	var s mean
	for t := from; t < to; t++ {
		for i := range R {
			for _, k := range categories {
				s.add(r.curves[k].precision[((t*R+i)*A+area)*M+M-1])
			}
		}
	}
	return s.value()
}

// averageRecall is the mean recall over thresholds and those categories that have
// something to find.
func (r *Report) averageRecall(categories []int, area, maxDets int) float64 {
	var s mean
	for t := range r.Options.Thresholds {
		for _, k := range categories {
			s.add(r.Recall(k, t, area, maxDets))
		}
	}
	return s.value()
}

// suffix is what the names of an area's metrics end with: s for small, and so on.
func (r *Report) suffix(area int) string {
	switch name := r.Options.Areas[area].Name; {
	case area == 0:
		return ""
	case name == "small" || name == "medium" || name == "large":
		return name[:1]
	default:
		return "_" + strings.ReplaceAll(name, " ", "_")
	}
}

// A mean leaves out -1, and is -1 itself without anything to add.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v float64) {
	if v > -1 {
		m.sum += v
		m.n++
	}
}

func (m *mean) value() float64 {
	if m.n == 0 {
		return -1
	}
	return m.sum / float64(m.n)
}

// frequencies are the groups of LVIS's categories: rare, common, frequent.
var frequencies = []string{"r", "c", "f"}

func frequencyGroup(f string) int { return slices.Index(frequencies, f) }
