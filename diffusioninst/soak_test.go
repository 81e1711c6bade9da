package diffusioninst

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// TestSoak segments 10,000 pictures from 64 goroutines, some of which are cancelled, panic or
// end their goroutine in the middle, and then as many things are open as after the first round.
// DIFFUSIONINST_SOAK_CALLS sets another number of calls and DIFFUSIONINST_SOAK_CSV names a file for
// what was open after each round, DIFFUSIONINST_SOAK_DEVICE a device; DIFFUSIONINST_SOAK_GRAPHS=1 records graphs there:
//
//	DIFFUSIONINST_SOAK_CALLS=1000000 DIFFUSIONINST_SOAK_CSV=soak.csv go test -timeout 0 -run TestSoak -v ./diffusioninst
func TestSoak(t *testing.T) {
	calls := 10_000
	if text := os.Getenv("DIFFUSIONINST_SOAK_CALLS"); text != "" {
		var err error
		calls, err = strconv.Atoi(text)
		require.NoError(t, err, "DIFFUSIONINST_SOAK_CALLS")
	} else if testing.Short() {
		calls = 1000
	}
	device, err := torch.ParseDevice(cmp.Or(os.Getenv("DIFFUSIONINST_SOAK_DEVICE"), "cpu"))
	require.NoError(t, err)
	before := torch.Live()
	config := tiny()
	m, err := LoadSource(context.Background(), nn.FromSeed(1), LoadOptions{
		Config: &config, Device: device, Graphs: os.Getenv("DIFFUSIONINST_SOAK_GRAPHS") == "1",
	})
	require.NoError(t, err)
	s := &soak{model: m, images: []image.Image{pattern(32, 32), pattern(40, 32), pattern(20, 30)}}
	for i := range s.images {
		r, err := m.Segment(context.Background(), s.images[i], s.options(i))
		require.NoError(t, err)
		require.NotEmpty(t, r.Instances)
		s.want = append(s.want, r)
	}
	watch := leak.NewWatch(t, os.Getenv("DIFFUSIONINST_SOAK_CSV"))
	rounds := min(max(calls/1000, 5), 200)
	for i := range rounds {
		to := calls * (i + 1) / rounds
		s.round(t, calls*i/rounds, to)
		watch.Round(to, torch.Live())
	}
	watch.Flat()
	require.NoError(t, m.Close())
	require.Equal(t, before, torch.Live(), "tensors left behind")
}

const soakGoroutines = 64

// soak is a model and what it finds in pictures.
type soak struct {
	model  *Model
	images []image.Image
	want   []*Result
}

func (s *soak) options(i int) Options { return Options{Score: -1, Steps: 1, Limit: 1, Seed: uint64(i)} }

// round makes calls from … to-1 from many goroutines, and waits for them.
func (s *soak) round(t *testing.T, from, to int) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range soakGoroutines {
		all.Go(func() {
			for i := range numbers {
				if err := s.call(i); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	for i := from; i < to && !t.Failed(); i++ {
		numbers <- i
	}
	close(numbers)
	all.Wait()
	require.False(t, t.Failed())
}

// call makes one call: most find what the first call for the picture found, and a few are broken off.
func (s *soak) call(i int) error {
	which := i % len(s.images)
	o := s.options(which)
	switch {
	case i%100 == 1:
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		o.Steps, o.Sampling = 2, &sampler.Config{Sampler: interrupted{cancel}}
		if _, err := s.model.Segment(ctx, s.images[which], o); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("cancelled: %v", err)
		}
	case i%100 == 2:
		o.Steps, o.Sampling = 2, &sampler.Config{Sampler: interrupted{func() { panic("soak") }}}
		return s.ended(which, o, "soak")
	case i%1000 == 3:
		o.Steps, o.Sampling = 2, &sampler.Config{Sampler: interrupted{runtime.Goexit}}
		return s.ended(which, o, nil)
	default:
		r, err := s.model.Segment(context.Background(), s.images[which], o)
		if err != nil {
			return err
		}
		if !sameResult(r, s.want[which]) {
			return errors.New("another result for the same seed")
		}
	}
	return nil
}

// ended makes a call that does not return, in a goroutine of its own, and compares what it panics with.
func (s *soak) ended(which int, o Options, want any) error {
	got := make(chan any)
	go func() {
		result := any("returned")
		defer func() { got <- result }()
		defer func() { result = recover() }()
		_, _ = s.model.Segment(context.Background(), s.images[which], o)
		panic("returned")
	}()
	if r := <-got; r != want {
		return fmt.Errorf("ended by %v, not %v", r, want)
	}
	return nil
}

// interrupted is a sampler that does something before the state moves to the next step.
type interrupted struct{ before func() }

func (interrupted) String() string { return "interrupted" }

func (c interrupted) Step(s *sampler.Step) (*torch.Tensor, error) {
	c.before()
	return sampler.DDIM{Eta: 1}.Step(s)
}

// tiny is the least configuration that has all parts: a call takes a millisecond or two.
func tiny() Config {
	return Config{
		Backbone: backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
			return tinyBackbone{nn.NewConv2d(p.Sub("stem"), 3, 4, nn.ConvOptions{Stride: 8, Bias: true})}, nil
		}),
		Decoder:    decoder.Config{Dynamic: 2, FeedForward: 4, Heads: 1, Hidden: 4, Stages: 1, Bins: 2, Samples: 1, ClassLayers: -1, BoxLayers: -1},
		MaskBranch: maskhead.BranchConfig{Width: 4},
		Classes:    []string{"circle"},
		Proposals:  4,
		Input:      Input{Short: 32, Longest: 64},
	}
}

// tinyBackbone is a convolution and its coarser copies.
type tinyBackbone struct{ stem *nn.Conv2d }

func (b tinyBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	levels := []*torch.Tensor{b.stem.Forward(x)}
	for range 2 {
		levels = append(levels, levels[len(levels)-1].MaxPool2d([]int{1, 1}, []int{2, 2}, []int{0, 0}))
	}
	return levels
}

func (tinyBackbone) Strides() []int { return []int{8, 16, 32} }
func (tinyBackbone) Channels() int  { return 4 }
