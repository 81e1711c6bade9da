package data

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// ClassCounts returns the number of pictures of d that show each class, as the federated loss
// and [RepeatFactors] take it. It uses [Summaries].
func ClassCounts(ctx context.Context, d Dataset) ([]int, error) {
	summaries, err := Summaries(ctx, d)
	if err != nil {
		return nil, err
	}
	return classCounts(summaries, len(d.Classes())), nil
}

func classCounts(summaries []Summary, classes int) []int {
	counts := make([]int, classes)
	for _, s := range summaries {
		for _, class := range distinct(s.Classes) {
			counts[class]++
		}
	}
	return counts
}

func distinct(classes []int) []int {
	out := slices.Clone(classes)
	slices.Sort(out)
	return slices.Compact(out)
}

// RepeatFactors returns how often each picture is to be drawn in an epoch so that rare classes
// are seen more often: max over its classes c of max(1, √(t/f(c))), with the threshold t
// and the fraction f(c) of pictures that show the class; 1 for pictures without objects
// (Gupta et al., LVIS, arXiv 1908.03195). It uses [Summaries].
func RepeatFactors(ctx context.Context, d Dataset, t float64) ([]float64, error) {
	if !(t >= 0 && t <= 1) {
		return nil, fmt.Errorf("data: repeat threshold %g: want a fraction of the pictures", t)
	}
	summaries, err := Summaries(ctx, d)
	if err != nil {
		return nil, err
	}
	counts := classCounts(summaries, len(d.Classes()))
	out := make([]float64, len(summaries))
	for i, s := range summaries {
		out[i] = 1
		for _, class := range s.Classes {
			f := float64(counts[class]) / float64(len(summaries))
			out[i] = max(out[i], math.Sqrt(t/f))
		}
	}
	return out, nil
}
