package data

import (
	"context"
	"fmt"
)

// Subset returns the pictures of d with these numbers, in their order: a part to train on, or
// without what should be left out. It is a [Summarizer] if d is.
func Subset(d Dataset, pictures []int) (Dataset, error) {
	if err := present(d); err != nil {
		return nil, err
	}
	for _, i := range pictures {
		if i < 0 || i >= d.Len() {
			return nil, fmt.Errorf("data: subset with picture %d of %d", i, d.Len())
		}
	}
	out := subset{d, pictures}
	if known, ok := d.(Summarizer); ok {
		return knownSubset{out, known}, nil
	}
	return out, nil
}

// NonEmpty returns the pictures of d that have objects. It uses [Summaries], which for
// [COCO] counts annotations and does not look at their masks.
func NonEmpty(ctx context.Context, d Dataset) (Dataset, error) {
	summaries, err := Summaries(ctx, d)
	if err != nil {
		return nil, err
	}
	var pictures []int
	for i, s := range summaries {
		if len(s.Classes) > 0 {
			pictures = append(pictures, i)
		}
	}
	return Subset(d, pictures)
}

type subset struct {
	Dataset
	pictures []int
}

func (s subset) Len() int { return len(s.pictures) }

func (s subset) Sample(ctx context.Context, i int) (Sample, error) {
	return s.Dataset.Sample(ctx, s.pictures[i])
}

type knownSubset struct {
	subset
	known Summarizer
}

func (s knownSubset) Summary(i int) Summary { return s.known.Summary(s.pictures[i]) }
