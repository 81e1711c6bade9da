package data

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var mixed = Chain{Flip{0.5, 0.5}, Rotate90{}, Scale{Factor: Range{0.6, 1.7}, Width: 8, Height: 6}, ColorJitter{Brightness: 0.3}}

func newLoader(t testing.TB, d Dataset, o LoaderOptions) *Loader {
	t.Helper()
	l, err := NewLoader(d, o)
	require.NoError(t, err)
	t.Cleanup(l.Close)
	return l
}

func take(t *testing.T, l *Loader, batches int) [][]Sample {
	t.Helper()
	out := make([][]Sample, 0, batches)
	for range batches {
		b, err := l.Next(context.Background())
		require.NoError(t, err)
		out = append(out, b)
	}
	return out
}

func names(batches ...[]Sample) []string {
	var out []string
	for _, b := range batches {
		for _, s := range b {
			out = append(out, s.ID)
		}
	}
	return out
}

// The variants of a loader of which all must hold.
var variants = map[string]LoaderOptions{
	"plain":    {Batch: 4, Seed: 3, Augment: mixed},
	"in order": {Batch: 3, InOrder: true, Augment: mixed},
	"repeated": {Batch: 4, Seed: 4, Augment: mixed, Repeat: []float64{1, 1.5, 1, 0.25, 2.1, 1, 1, 1, 1, 0, 1}},
	"pasted":   {Batch: 4, Seed: 7, Augment: mixed, CopyPaste: 0.6},
	"grouped":  {Batch: 2, Seed: 5, Augment: mixed, GroupAspects: true},
	"grouped, repeated, replaced": {Batch: 2, Seed: 6, Augment: mixed, GroupAspects: true,
		Repeat: []float64{1, 1.5, 1, 0.25, 2.1, 1, 1, 1, 1, 0, 1}, OnError: func(error) error { return nil }},
}

func TestBatchesDoNotDependOnWorkers(t *testing.T) {
	for name, o := range variants {
		t.Run(name, func(t *testing.T) {
			d := numbered{count: 11}
			if o.OnError != nil {
				d.broken = map[int]bool{2: true, 5: true}
			}
			var want [][]Sample
			for _, workers := range []int{1, 2, 7} {
				for _, ahead := range []int{0, 1, 5} {
					o := o
					o.Workers, o.Prefetch = workers, ahead
					got := take(t, newLoader(t, d, o), 12)
					if want == nil {
						want = got
					}
					require.Empty(t, cmp.Diff(want, got), "%d workers, %d batches ahead", workers, ahead)
				}
			}
			o.Seed++
			if !o.InOrder {
				require.NotEqual(t, names(want...), names(take(t, newLoader(t, d, o), 12)...))
			}
		})
	}
}

// Every batch after SeekTo is that of an uninterrupted run, from a new loader and from one
// that is somewhere else.
func TestSeekContinues(t *testing.T) {
	for name, o := range variants {
		t.Run(name, func(t *testing.T) {
			d := numbered{count: 11}
			if o.OnError != nil {
				d.broken = map[int]bool{2: true, 5: true}
			}
			o.Workers = 3
			want := take(t, newLoader(t, d, o), 20)
			used := newLoader(t, d, o)
			for _, at := range []int{7, 0, 1, 17, 12, 12, 3} {
				fresh := newLoader(t, d, o)
				for _, l := range []*Loader{fresh, used} {
					require.NoError(t, l.SeekTo(int64(at)))
					require.EqualValues(t, at, l.Position())
					require.Empty(t, cmp.Diff(want[at:at+3], take(t, l, 3)), "from %d", at)
					require.EqualValues(t, at+3, l.Position())
				}
			}
		})
	}
}

func TestEpochs(t *testing.T) {
	l := newLoader(t, numbered{count: 10}, LoaderOptions{Batch: 4, Seed: 1})
	all := names(take(t, l, 10)...)
	seen := map[string]bool{}
	for epoch := range 4 {
		part := slices.Clone(all[10*epoch : 10*epoch+10])
		seen[fmt.Sprint(part)] = true
		slices.Sort(part)
		require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, part, "each picture once per epoch")
	}
	require.Len(t, seen, 4, "in another order each time")
	l = newLoader(t, numbered{count: 3}, LoaderOptions{Batch: 2, InOrder: true})
	require.Equal(t, []string{"0", "1", "2", "0", "1", "2"}, names(take(t, l, 3)...))
}

func TestAugmentationDiffersBetweenEpochs(t *testing.T) {
	l := newLoader(t, numbered{count: 1}, LoaderOptions{Batch: 1, Augment: mixed})
	seen := map[string]bool{}
	for _, b := range take(t, l, 10) {
		seen[string(b[0].RGB)] = true
	}
	require.Greater(t, len(seen), 5)
}

func TestRepeatedPictures(t *testing.T) {
	repeat := []float64{1, 2.25, 0.5, 1}
	o := newOrder(4, LoaderOptions{Seed: 9, Repeat: repeat})
	counts := make([]float64, 4)
	const epochs = 4000
	for o.epoch < epochs {
		counts[o.pick().index]++
	}
	for i, f := range repeat {
		require.InDelta(t, f, counts[i]/epochs, 0.04, "picture %d", i)
	}
}

func TestBatchesOfOneAspect(t *testing.T) {
	l := newLoader(t, numbered{count: 30}, LoaderOptions{Batch: 3, GroupAspects: true})
	seen := map[string]int{}
	for _, b := range take(t, l, 100) {
		for _, s := range b {
			require.Equal(t, b[0].Width > b[0].Height, s.Width > s.Height)
			seen[s.ID]++
		}
	}
	require.Len(t, seen, 30)
	for id, n := range seen {
		require.InDelta(t, 10, n, 2, "picture %s", id)
	}
}

func TestBrokenSamples(t *testing.T) {
	d := numbered{count: 6, broken: map[int]bool{4: true}}
	t.Run("fatal", func(t *testing.T) {
		l := newLoader(t, d, LoaderOptions{Batch: 2, InOrder: true})
		take(t, l, 2)
		for range 2 { // it stays so
			_, err := l.Next(context.Background())
			var e *SampleError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "4", e.ID)
			require.EqualValues(t, 2, l.Position())
		}
		require.NoError(t, l.SeekTo(3))
		take(t, l, 2)
	})
	t.Run("replaced", func(t *testing.T) {
		var reported []error
		o := LoaderOptions{Batch: 2, InOrder: true, OnError: func(err error) error {
			reported = append(reported, err)
			return nil
		}}
		got := names(take(t, newLoader(t, d, o), 6)...)
		require.NotEmpty(t, reported)
		for _, err := range reported {
			require.EqualError(t, err, "data: sample 4: broken")
		}
		for i, id := range got {
			if i%6 == 4 {
				require.NotEqual(t, "4", id)
			} else {
				require.Equal(t, fmt.Sprint(i%6), id)
			}
		}
	})
	t.Run("pasted", func(t *testing.T) { // a sample is not left out because of what was to be pasted
		broken := 0
		o := LoaderOptions{Batch: 2, Seed: 3, OnError: func(error) error { broken++; return nil }}
		want, alone := names(take(t, newLoader(t, d, o), 30)...), broken
		o.CopyPaste = 1
		require.Equal(t, want, names(take(t, newLoader(t, d, o), 30)...))
		require.Greater(t, broken-alone, alone, "and is said")
	})
	t.Run("given up", func(t *testing.T) {
		errStop := errors.New("enough")
		l := newLoader(t, d, LoaderOptions{Batch: 6, OnError: func(error) error { return errStop }})
		_, err := l.Next(context.Background())
		require.ErrorIs(t, err, errStop)
	})
	t.Run("all", func(t *testing.T) {
		calls := 0
		l := newLoader(t, numbered{count: 1, broken: map[int]bool{0: true}}, LoaderOptions{Batch: 1, OnError: func(error) error {
			calls++
			return nil
		}})
		_, err := l.Next(context.Background())
		require.ErrorContains(t, err, "none of 21 pictures drawn for sample 0 can be read; the last: data: sample 0: broken")
		require.Equal(t, 21, calls)
	})
	t.Run("augmentation", func(t *testing.T) {
		l := newLoader(t, numbered{count: 1}, LoaderOptions{Batch: 1, Augment: ResizeShortest{}})
		_, err := l.Next(context.Background())
		require.EqualError(t, err, "data: sample 0: augmentation: data: resize of the short side to no size")
	})
	t.Run("wrong", func(t *testing.T) {
		l := newLoader(t, wrong{}, LoaderOptions{Batch: 1})
		_, err := l.Next(context.Background())
		require.EqualError(t, err, "data: sample wrong: 0 bytes for 3×3 pixels")
	})
}

type wrong struct{}

func (wrong) Classes() []string { return nil }

func (wrong) Len() int { return 1 }

func (wrong) Sample(context.Context, int) (Sample, error) {
	return Sample{ID: "wrong", Width: 3, Height: 3}, nil
}

// slow is a Dataset that waits for its context.
type slow struct {
	numbered
	waiting atomic.Int64
}

func (s *slow) Sample(ctx context.Context, i int) (Sample, error) {
	s.waiting.Add(1)
	<-ctx.Done()
	return Sample{}, ctx.Err()
}

func TestWaitingEnds(t *testing.T) {
	d := &slow{numbered: numbered{count: 5}}
	l := newLoader(t, d, LoaderOptions{Batch: 2, Workers: 2})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := l.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, l.Position())
	require.Positive(t, d.waiting.Load())
	require.NoError(t, l.SeekTo(4), "what is in the works is given up")
	l.Close()
	l.Close()
	_, err = l.Next(context.Background())
	require.EqualError(t, err, "data: the loader is closed")
	require.EqualError(t, l.SeekTo(0), "data: the loader is closed")
}

// The order of an epoch is held in memory, so its length is bounded: by pictures and by how often each is drawn.
func TestEpochsTooLargeAreRefused(t *testing.T) {
	often := make([]float64, 10_000)
	for i := range often {
		often[i] = math.MaxInt16
	}
	for count, repeat := range map[int][]float64{math.MaxInt: nil, maxEpoch + 1: nil, len(often): often} {
		_, err := NewLoader(numbered{count: count}, LoaderOptions{Batch: 1, Repeat: repeat})
		require.ErrorContains(t, err, "at most 268435456")
	}
	newLoader(t, numbered{count: maxEpoch}, LoaderOptions{Batch: 1}).Close()
}

func TestLoaderOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]LoaderOptions{
		"batches of 0 samples":                   {},
		"-1 workers":                             {Batch: 1, Workers: -1},
		"1 repeat factors for 2 pictures":        {Batch: 1, Repeat: []float64{1}},
		"repeat factor -1 of picture 1":          {Batch: 1, Repeat: []float64{1, -1}},
		"no picture has a repeat factor of 1":    {Batch: 1, Repeat: []float64{0.5, 0.9}},
		"aspect ratios of a struct { data.Datas": {Batch: 1, GroupAspects: true},
	} {
		_, err := NewLoader(struct{ Dataset }{numbered{count: 2}}, o)
		require.ErrorContains(t, err, want)
	}
	_, err := NewLoader(numbered{}, LoaderOptions{Batch: 1})
	require.EqualError(t, err, "data: a data set without pictures")
	l := newLoader(t, numbered{count: 2}, LoaderOptions{Batch: 1})
	require.Error(t, l.SeekTo(-1))
}

// BenchmarkLoader is what the loader of the built-in model's recipe costs: pictures
// of 256×256 to 696×520 pixels with 20 to 120 objects, read from PNG files or kept in
// memory, scaled, cropped to 192×192 and mirrored.
func BenchmarkLoader(b *testing.B) {
	file, folder := written(b, image.Pt(256, 256), image.Pt(320, 256), image.Pt(360, 360), image.Pt(696, 520))
	for name, keep := range map[string]int64{"read": -1, "kept": 1 << 30} {
		b.Run(name, func(b *testing.B) {
			c, err := OpenCOCO(file, folder)
			require.NoError(b, err)
			c.KeepPictures(keep)
			l := newLoader(b, c, LoaderOptions{Batch: 4, Augment: Chain{Flip{0.5, 0.5}, Scale{Factor: Range{0.6, 1.7}, Width: 192, Height: 192}}})
			for b.Loop() {
				_, err := l.Next(context.Background())
				require.NoError(b, err)
			}
			b.ReportMetric(4*float64(b.N)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}

// The parts of all processes together are the batches of one, wherever a process begins.
func TestPartsOfBatches(t *testing.T) {
	for name, o := range variants {
		d := numbered{count: 11}
		if o.OnError != nil {
			d.broken = map[int]bool{2: true, 5: true}
		}
		whole := take(t, newLoader(t, d, o), 6)
		for ranks := 1; ranks <= 5; ranks++ {
			together := make([][]Sample, 6)
			for rank := range ranks {
				o.Rank, o.Ranks = rank, ranks
				l := newLoader(t, d, o)
				require.NoError(t, l.SeekTo(1))
				for i, b := range take(t, l, 5) {
					together[i+1] = append(together[i+1], b...)
				}
				require.EqualValues(t, 6, l.Position())
			}
			require.Empty(t, cmp.Diff(whole[1:], together[1:]), "%s, %d processes", name, ranks)
		}
	}
	for _, o := range []LoaderOptions{{Batch: 1, Rank: 1}, {Batch: 1, Ranks: -1}, {Batch: 1, Rank: 2, Ranks: 2}, {Batch: 1, Rank: -1, Ranks: 2}} {
		_, err := NewLoader(numbered{count: 3}, o)
		require.ErrorContains(t, err, "parts, counted from 0", "%+v", o)
	}
}
