package diffusioninst

import (
	"bytes"
	"context"
	"image"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// loadGraphs loads the untrained model on the GPU that records graphs, or does not.
func loadGraphs(t *testing.T, config Config, on bool) *Model {
	t.Helper()
	before := torch.Live()
	m, err := LoadSource(context.Background(), nn.FromSeed(1), LoadOptions{Config: &config, Device: torch.CUDA(0), Graphs: on})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		require.Equal(t, before, torch.Live(), "tensors left behind")
	})
	return m
}

// sameResults compares results with a model's that records nothing. Where operators are the host's, they are
// the same to the bit.
func sameResults(t *testing.T, want, got []*Result) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		require.Len(t, got[i].Instances, len(w.Instances))
		for k, in := range w.Instances {
			g := got[i].Instances[k]
			if fakecuda.Inside() {
				require.Equal(t, in.Score, g.Score)
				require.Equal(t, in.Box, g.Box)
				require.Equal(t, in.Mask.Area(), g.Mask.Area())
			}
			require.InDelta(t, in.Score, g.Score, 1e-4)
			require.InDelta(t, in.Box.X2, g.Box.X2, 0.05)
		}
	}
}

// A model that records graphs finds what another one finds, in any order of sizes, numbers and samplers, and costs
// few launches. It runs on a GPU, or else on the fake one.
func TestGraphs(t *testing.T) {
	if !torch.HasGraphs() {
		withoutGPU(t, "^TestGraphs$/^Results$", "^TestGraphs$/^[^R]", "^TestGraphs$/^(Refused|Replicas)$", "^TestGraphsTogether$", "^TestDeviceParts$")
		return
	}
	ctx, config := context.Background(), small()
	plain := loadGraphs(t, config, false)
	segment := func(t *testing.T, m *Model, o Options, pictures ...image.Image) []*Result {
		t.Helper()
		out, err := m.SegmentBatch(ctx, pictures, o)
		require.NoError(t, err)
		return out
	}
	compare := func(t *testing.T, m *Model, o Options, pictures ...image.Image) {
		t.Helper()
		o.Score = -1
		sameResults(t, segment(t, plain, o, pictures...), segment(t, m, o, pictures...))
	}
	recorded := func(m *Model) (inputs, pyramids, decoders int) {
		for _, set := range m.graphs.sets {
			for _, in := range set.inputs {
				inputs++
				for r := range in.all() {
					if r.graph == nil {
						continue
					}
					if r == &in.pyramid {
						pyramids++
					} else {
						decoders++
					}
				}
			}
		}
		return
	}
	img, other := pattern(100, 80), pattern(80, 100)

	t.Run("Results", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		for round := range 3 { // computes, records, replays
			for i, o := range []Options{
				{}, {Proposals: 20, Steps: 2},
				{Steps: 3}, {Steps: 2, Sampling: &sampler.Config{Sampler: sampler.Heun{}}},
				{Steps: 3, Sampling: &sampler.Config{Sampler: sampler.DPMSolver2M{}}}, {Steps: 2, Restarts: 2}, {Ensemble: &Ensemble{LastOnly: true}, Steps: 2},
			} {
				if round < 2 && i > 1 {
					break
				}
				o.Seed = uint64(10*round + i)
				compare(t, m, o, img)
				compare(t, m, o, other, pattern(90, 70+round))
				if i == 0 {
					compare(t, m, o, other)
				}
			}
		}
		inputs, pyramids, decoders := recorded(m)
		require.Equal(t, []int{3, 3, 5}, []int{inputs, pyramids, decoders}, "sizes, backbones, decoders")
	})
	t.Run("Steps", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		for range 3 {
			var want, got []*StepResult
			o := Options{Steps: 2, Score: -1, Limit: 3, OnStep: func(r *StepResult) { want = append(want, r) }}
			segment(t, plain, o, img)
			o.OnStep = func(r *StepResult) { got = append(got, r) }
			segment(t, m, o, img)
			require.Len(t, got, len(want))
			for i, w := range want {
				closetest.Slices(t, w.Scores, got[i].Scores, 1e-4)
			}
		}
	})
	t.Run("Counts", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		work := func(m *Model, steps int) torch.Counts {
			return torch.Count(func() { segment(t, m, Options{Score: -1, Limit: 2, Steps: steps}, img) })
		}
		work(plain, 1)
		work(m, 1)
		work(m, 1)
		launches := func(c torch.Counts) int64 { return c.Started + c.Launches }
		without, one, two := launches(work(plain, 1)), work(m, 1), work(m, 2)
		t.Logf("operator by operator: launches %d, a further step %d; from graphs: launches %d, of own kernels and graphs %d, synchronisations %d, a further step %d",
			without, launches(work(plain, 2))-without, launches(one), one.Launches, one.Waits, launches(two)-launches(one))
		require.LessOrEqual(t, launches(one), int64(45))
		require.LessOrEqual(t, launches(two)-launches(one), int64(55))
		require.LessOrEqual(t, one.Waits, int64(2))
		require.Equal(t, one.Waits, two.Waits, "a step waits")
	})
	t.Run("Bounds", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		m.graphs.inputs = 3
		for i := range 5 {
			for range 3 {
				compare(t, m, Options{Scale: 0.64}, pattern(100+50*i, 100))
			}
		}
		inputs, pyramids, decoders := recorded(m)
		require.Equal(t, []int{3, 3, 3}, []int{inputs, pyramids, decoders})
		for n := range graphStates + 1 {
			for range 2 {
				compare(t, m, Options{Scale: 0.64, Proposals: 10 + n}, pattern(100, 100))
			}
		}
		for _, set := range m.graphs.sets {
			require.Len(t, set.inputs[0].decoders, graphStates)
			require.Less(t, set.inputs[0].bytes(), set.bytes())
			m.graphs.limit = set.inputs[0].bytes()
		}
		compare(t, m, Options{Scale: 0.64}, pattern(100, 100))
		inputs, _, _ = recorded(m)
		require.Equal(t, 1, inputs)

		said := captureLog(t)
		m = loadGraphs(t, config, true)
		m.graphs.limit = 1
		for range 3 {
			compare(t, m, Options{}, img)
		}
		_, pyramids, decoders = recorded(m)
		require.Equal(t, []int{0, 0}, []int{pyramids, decoders})
		require.Contains(t, said.String(), "more memory than graphs may hold")
	})
	t.Run("Tensor", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		pictures := []image.Image{pattern(96, 64), pattern(96, 64)}
		for range 3 {
			got, err := m.SegmentTensor(ctx, tensorOf(t, torch.CUDA(0), pictures...), Options{Score: -1})
			require.NoError(t, err)
			sameResults(t, segment(t, plain, Options{Score: -1}, pictures...), got)
		}
		_, err := m.SegmentTensor(ctx, tensorOf(t, torch.CPU, pictures...), Options{})
		require.ErrorContains(t, err, "not on the model's device, cuda:0")
	})
	t.Run("Swin", func(t *testing.T) {
		config := config
		config.Backbone = backbone.SwinFPN{Channels: 16, Swin: backbone.Swin{Size: "XXS", EmbedDim: 8, Depths: [4]int{2, 1, 1, 1}, Heads: [4]int{1, 1, 2, 2}, Window: 4}}
		plain, m := loadGraphs(t, config, false), loadGraphs(t, config, true)
		for i := range 3 {
			o := Options{Score: -1, Seed: uint64(i)}
			sameResults(t, segment(t, plain, o, img), segment(t, m, o, img))
		}
		inputs, pyramids, decoders := recorded(m)
		require.Equal(t, []int{1, 1, 1}, []int{inputs, pyramids, decoders})
	})
	t.Run("SelfConditioning", func(t *testing.T) {
		load := func(on bool) *Model {
			config := conditioned()
			m, err := LoadSource(ctx, hearing{nn.FromSeed(1)}, LoadOptions{Config: &config, Device: torch.CUDA(0), Graphs: on})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, m.Close()) })
			return m
		}
		without, m := load(false), load(true)
		for i := range 3 {
			o := Options{Score: -1, Steps: 3, Seed: uint64(i), Sampling: &sampler.Config{Renewal: sampler.TopFraction(0.5)}}
			want := segment(t, without, o, img)
			sameResults(t, want, segment(t, m, o, img))
			require.False(t, sameResult(segment(t, plain, o, img)[0], want[0]), "it is told something")
		}
		inputs, pyramids, decoders := recorded(m)
		require.Equal(t, []int{1, 1, 1}, []int{inputs, pyramids, decoders}, "one graph for the steps that are told something and for the first")
		steps := func(n int) torch.Counts {
			return torch.Count(func() { segment(t, m, Options{Score: -1, Steps: n}, img) })
		}
		require.Equal(t, steps(1).Waits, steps(3).Waits, "a step waits")
	})
	t.Run("Replicas", func(t *testing.T) {
		m, err := LoadSource(ctx, nn.FromSeed(1), LoadOptions{Config: &config, Device: torch.CUDA(0), Replicas: []torch.Device{torch.CUDA(0)}, Graphs: true})
		require.NoError(t, err)
		for range 6 {
			compare(t, m, Options{}, img)
		}
		for _, r := range m.all() {
			require.True(t, r.graphs.drop(), "it has recorded")
		}
		require.NoError(t, m.Close())
	})
	t.Run("Closed", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		for range 3 {
			segment(t, m, Options{}, img)
		}
		require.True(t, m.graphs.drop())
		require.False(t, m.graphs.drop(), "there is nothing left")
		compare(t, m, Options{}, img)
	})
	t.Run("Cancelled", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		for range 4 {
			done, cancel := context.WithCancel(ctx)
			_, err := m.Segment(done, img, Options{Steps: 2, OnStep: func(*StepResult) { cancel() }})
			require.ErrorIs(t, err, context.Canceled)
			compare(t, m, Options{Steps: 2}, img)
		}
	})

	custom := func(forward func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor) Config {
		out := config
		inner := out.Backbone
		out.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
			b, err := inner.Build(p)
			return changedBackbone{b, forward}, err
		})
		return out
	}
	t.Run("Refused", func(t *testing.T) {
		for name, forward := range map[string]func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor{
			"waits": func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor {
				levels[0].MulScalar(x.Mean().Item())
				return levels
			},
			"uploads": func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor {
				levels[0] = levels[0].Mul(torch.From(x.Scope(), []float32{1, 1}, 2, 1, 1).To(x.Device()).Narrow(0, 0, 1))
				return levels
			},
			"reads a shape": func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor {
				x.Nonzero() // that LibTorch itself waits breaks a recording
				return levels
			},
		} {
			t.Run(name, func(t *testing.T) {
				said := captureLog(t)
				m := loadGraphs(t, custom(forward), true)
				for i := range 4 {
					compare(t, m, Options{Steps: 2, Seed: uint64(i)}, img)
					compare(t, m, Options{Steps: 2, Seed: uint64(i)}, other)
				}
				inputs, pyramids, decoders := recorded(m)
				require.Equal(t, []int{2, 0, 2}, []int{inputs, pyramids, decoders})
				require.Equal(t, 1, strings.Count(said.String(), "the backbone is computed operator by operator"), said)
			})
		}
	})
	t.Run("Broken", func(t *testing.T) { // a recording that LibTorch breaks off leaves others usable
		require.NoError(t, torch.Do(ctx, func(s *torch.Scope) error {
			_, restore := torch.CUDA(0).OwnStream()
			defer restore()
			x := torch.From(s, []float32{1, 2}, 2).To(torch.CUDA(0))
			g, err := torch.RecordGraph(nil, []*torch.Tensor{x}, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
				return []*torch.Tensor{in[0].MulScalar(2)}, nil
			})
			require.NoError(t, err)
			defer g.Close()
			_, err = torch.RecordGraph(nil, []*torch.Tensor{x}, func(in []*torch.Tensor) ([]*torch.Tensor, error) {
				return []*torch.Tensor{in[0].Nonzero()}, nil
			})
			require.Error(t, err)
			require.Equal(t, []float32{2, 4}, torch.Values[float32](g.Run(s, x)[0]))
			return nil
		}))
	})
	t.Run("NotFinite", func(t *testing.T) {
		m := loadGraphs(t, custom(func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor {
			for i, l := range levels {
				levels[i] = l.MulScalar(math.NaN())
			}
			return levels
		}), true)
		_, want := m.Segment(ctx, img, Options{Steps: 3})
		for range 3 {
			_, got := m.Segment(ctx, img, Options{Steps: 3})
			var lost *nn.NotFiniteError
			require.ErrorAs(t, got, &lost)
			require.EqualError(t, got, want.Error())
		}
	})
	if !fakecuda.Inside() {
		return
	}
	t.Run("OwnStream", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		log := func() string {
			text, err := os.ReadFile(os.Getenv("FAKE_CUDA_LOG"))
			require.NoError(t, err)
			return string(text)
		}
		before := log()
		segment(t, m, Options{}, img)
		require.Contains(t, log()[len(before):], "launch ")
		require.NotContains(t, log()[len(before):], "stream (nil)")
	})
	t.Run("OutOfMemory", func(t *testing.T) {
		m := loadGraphs(t, config, true)
		pictures := []image.Image{img, pattern(90, 80)}
		for range 3 {
			compare(t, m, Options{}, img)
		}
		var held *torch.Graph
		for _, set := range m.graphs.sets {
			held = set.any()
		}
		require.Positive(t, held.Bytes())
		want := segment(t, plain, Options{Score: -1}, pictures...)
		got := []*Result(nil)
		for need := 8192.0; got == nil; need *= 1.2 {
			require.Less(t, need, 1e9)
			t.Setenv("FAKE_CUDA_LIMIT", strconv.Itoa(int(need)))
			got, _ = m.SegmentBatch(ctx, pictures, Options{Score: -1})
		}
		t.Setenv("FAKE_CUDA_LIMIT", "")
		for i, w := range want { // halves round otherwise than the whole
			require.Len(t, got[i].Instances, len(w.Instances))
			for k, in := range w.Instances {
				require.InDelta(t, in.Score, got[i].Instances[k].Score, 1e-4)
			}
		}
		require.Zero(t, held.Bytes(), "it was dropped")
		for range 3 {
			compare(t, m, Options{}, img)
		}
	})
}

// changedBackbone computes features that are made of another's.
type changedBackbone struct {
	backbone.Backbone
	change func(x *torch.Tensor, levels []*torch.Tensor) []*torch.Tensor
}

func (b changedBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	return b.change(x, b.Backbone.Forward(x))
}

// captureLog returns what the default logger says until the test ends.
func captureLog(t *testing.T) *bytes.Buffer {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &out
}

// withoutGPU runs tests on the fake GPU, each in a process with a time limit of its own.
func withoutGPU(t *testing.T, tests ...string) {
	require.False(t, fakecuda.Inside(), "the fake GPU has graphs")
	if torch.CUDADevices() > 0 {
		t.Skip("this LibTorch has no graphs")
	}
	env := fakecuda.Build(t)
	for _, test := range tests {
		fakecuda.Run(t, env, test)
	}
}

// Callers of different sizes at once get what each gets alone. Workers are of a process: on the fake GPU TestGraphs runs this in one.
func TestGraphsTogether(t *testing.T) {
	if !torch.HasGraphs() {
		t.Skip("there is no GPU: TestGraphs runs it on the fake one")
	}
	t.Logf("three workers: %v", torch.SetWorkers(3))
	ctx, config := context.Background(), small()
	plain, m := loadGraphs(t, config, false), loadGraphs(t, config, true)
	const callers = 16
	o := func(i int) Options { return Options{Score: -1, Steps: 1 + i%2, Seed: uint64(i)} }
	pictures := func(i int) []image.Image {
		out := []image.Image{pattern(100+16*(i%4), 80)}
		if i%3 == 0 {
			out = append(out, pattern(100, 80+i))
		}
		return out
	}
	want := make([][]*Result, callers)
	for i := range want {
		var err error
		want[i], err = plain.SegmentBatch(ctx, pictures(i), o(i))
		require.NoError(t, err)
	}
	failed := make([]error, callers)
	got := make([][3][]*Result, callers)
	var callersDone sync.WaitGroup
	for i := range callers {
		callersDone.Go(func() {
			for k := range got[i] {
				if got[i][k], failed[i] = m.SegmentBatch(ctx, pictures(i), o(i)); failed[i] != nil {
					return
				}
			}
		})
	}
	callersDone.Wait()
	for i := range callers {
		require.NoError(t, failed[i])
		for _, g := range got[i] {
			sameResults(t, want[i], g)
		}
	}
	t.Logf("%d streams", len(m.graphs.sets))
}

// Graphs are refused where they cannot be had.
func TestGraphsNeedAGPU(t *testing.T) {
	config := small()
	_, err := LoadSource(context.Background(), nn.FromSeed(1), LoadOptions{Config: &config, Graphs: true})
	var refused *ConfigError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "graphs on cpu: they are for GPUs")
}
