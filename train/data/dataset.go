package data

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// A Dataset is a set of pictures with their objects, addressed by number. It is safe for concurrent
// use.
type Dataset interface {
	// Classes are the names of the classes; an Object's Class is a place in them.
	Classes() []string
	// Len is the number of pictures.
	Len() int
	// Sample reads picture i, 0 ≤ i < Len. The caller does not change what it points to.
	Sample(ctx context.Context, i int) (Sample, error)
}

// A Summary is what is known about a sample without its pixels.
type Summary struct {
	Width, Height int   // 0 if unknown
	Classes       []int // of the objects, in their order
}

// A Summarizer is a Dataset that can describe its samples without reading them.
type Summarizer interface {
	Dataset
	// Summary describes picture i. The caller does not change it.
	Summary(i int) Summary
}

// Summaries returns the summaries of all pictures of d. A Dataset that is not a
// [Summarizer] is read once as a whole.
func Summaries(ctx context.Context, d Dataset) ([]Summary, error) {
	if err := present(d); err != nil {
		return nil, err
	}
	out := make([]Summary, d.Len())
	for i := range out {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if known, ok := d.(Summarizer); ok {
			out[i] = known.Summary(i)
			continue
		}
		s, err := d.Sample(ctx, i)
		if err != nil {
			return nil, err
		}
		out[i] = s.summary()
	}
	return out, nil
}

func (s Sample) summary() Summary {
	out := Summary{Width: s.Width, Height: s.Height}
	for _, o := range s.Objects {
		out.Classes = append(out.Classes, o.Class)
	}
	return out
}

// present returns an error if there is no data set.
func present(d Dataset) error {
	if nilcheck.Is(d) {
		return errors.New("data: the data set is nil")
	}
	return nil
}

// Collect returns a Dataset of all samples of a sequence, which it keeps in memory. A
// sample that cannot be trained on is a *[SampleError], and an error of the sequence
// ends it.
func Collect(classes []string, seq iter.Seq2[Sample, error]) (Dataset, error) {
	if seq == nil {
		return nil, errors.New("data: no samples to collect: the sequence is nil")
	}
	c := &collection{classes: classes}
	for s, err := range seq {
		if err != nil {
			return nil, fmt.Errorf("data: after %d samples: %w", len(c.samples), err)
		}
		if err := s.Check(len(classes)); err != nil {
			return nil, err
		}
		c.samples = append(c.samples, s)
	}
	return c, nil
}

// collection is samples in memory.
type collection struct {
	classes []string
	samples []Sample
}

func (c *collection) Classes() []string { return c.classes }

func (c *collection) Len() int { return len(c.samples) }

func (c *collection) Sample(ctx context.Context, i int) (Sample, error) {
	return c.samples[i], ctx.Err()
}

func (c *collection) Summary(i int) Summary { return c.samples[i].summary() }
