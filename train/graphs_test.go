package train

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// A trainer that records graphs learns what another one learns. It runs on a GPU, or else on the fake one.
func TestGraphs(t *testing.T) {
	if torch.HasGraphs() {
		t.Run("Results", graphsLearnTheSame)
		t.Run("Parts", graphsInParts)
		t.Run("Counts", countGraphs)
		t.Run("Resumed", graphsResumed)
		t.Run("Refused", graphsRefused)
		if fakecuda.Inside() {
			t.Run("OutOfMemory", graphsOutOfMemory)
			t.Run("Workers", graphsOfWorkers)
		}
		return
	}
	require.False(t, fakecuda.Inside(), "the fake GPU has graphs")
	if torch.CUDADevices() > 0 {
		t.Skip("this LibTorch has no graphs")
	}
	env := fakecuda.Build(t)
	for _, part := range []string{"Results", "Parts", "Counts", "Resumed", "Refused", "OutOfMemory", "Workers"} { // each has the time limit of a process
		fakecuda.Run(t, env, "^TestGraphs$/^"+part+"$")
	}
}

// graphOptions are a recipe whose first losses do not hide differences.
func graphOptions(on bool) Options {
	return Options{Rate: 1e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}, Graphs: on}
}

// otherPictures is a batch of another shape than pictures.
func otherPictures(classes int) []data.Sample {
	return []data.Sample{
		picture("wide", 100, 40, classes, diffusioninst.Box{X1: 4, Y1: 6, X2: 60, Y2: 36}),
		picture("still none", 70, 40, classes),
	}
}

func recordedShapes(tr *Trainer) (n int) {
	for _, s := range tr.graphs.shapes {
		if s.graph != nil {
			n++
		}
	}
	return
}

// sameState compares reports and all that a trainer keeps. Where operators are the host's, they are the same to the bit.
func sameState(t *testing.T, want, got *Trainer, reports ...[2]*Report) {
	t.Helper()
	exact := fakecuda.Inside()
	for i, r := range reports {
		require.Equal(t, r[0].Skipped, r[1].Skipped)
		if exact {
			require.Equal(t, math.Float64bits(r[0].Norm), math.Float64bits(r[1].Norm), "step %d", i)
			require.Equal(t, r[0].Losses, r[1].Losses, "step %d", i)
		}
		if i < 3 { // on a GPU a match may flip later
			require.InEpsilon(t, r[0].Total, r[1].Total, 0.1, "step %d", i)
		}
	}
	for i, n := range want.store.Norms() {
		require.Equal(t, n.Batches, got.store.Norms()[i].Batches, n.Name)
	}
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		theirs := got.tensors()
		for i, p := range want.tensors() {
			if !exact || p.Tensor.DType() != torch.Float32 {
				continue
			}
			a, b := s.Adopt(p.Tensor).Detach(), s.Adopt(theirs[i].Tensor).Detach()
			require.Equal(t, torch.Values[float32](a), torch.Values[float32](b), p.Name)
		}
		return nil
	}))
}

// pair is two trainers that differ in graphs only.
func pair(t *testing.T, c diffusioninst.Config, change func(*Options)) (plain, graphed *Trainer) {
	t.Helper()
	before := torch.Live()
	var out []*Trainer
	for _, on := range []bool{false, true} {
		o := graphOptions(on)
		if change != nil {
			change(&o)
		}
		tr, err := New(context.Background(), c, nn.FromSeed(1), torch.CUDA(0), o)
		require.NoError(t, err)
		out = append(out, tr)
	}
	t.Cleanup(func() {
		out[0].Close()
		out[1].Close()
		require.Equal(t, before, torch.Live(), "tensors left behind")
	})
	return out[0], out[1]
}

// stepBoth makes a step of the same parts in both trainers.
func stepBoth(t *testing.T, a, b *Trainer, parts ...[]data.Sample) [2]*Report {
	t.Helper()
	var out [2]*Report
	for i, tr := range []*Trainer{a, b} {
		r, err := tr.Step(context.Background(), parts...)
		require.NoError(t, err)
		out[i] = r
	}
	return out
}

func graphsLearnTheSame(t *testing.T) {
	empty := []data.Sample{picture("bare", 64, 64, 2), picture("bare as well", 50, 60, 2)}
	for name, k := range map[string]struct {
		config diffusioninst.Config
		change func(*Options)
		scale  float64
	}{
		"frozen norms":            {small(2), func(o *Options) { o.Frozen = nil }, 0},
		"batch norm":              {batchNormed(), nil, 0},
		"scaled as in float16":    {batchNormed(), nil, 1024},
		"overflowing":             {small(2), nil, 1e38},
		"own steps":               {small(2), func(o *Options) { o.OwnSteps = 0.5 }, 0},
		"nothing before the rest": {small(2), func(o *Options) { o.Frozen = []string{"backbone."} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			plain, graphed := pair(t, k.config, k.change)
			if k.scale > 0 { // float16 itself is more than the fake GPU's LibTorch computes
				plain.scale, graphed.scale = &lossScale{Value: k.scale}, &lossScale{Value: k.scale}
			}
			var reports [][2]*Report
			for i := range 3 { // computes, records, replays
				reports = append(reports, stepBoth(t, plain, graphed, pictures(2)))
				if name == "batch norm" {
					reports = append(reports, stepBoth(t, plain, graphed, otherPictures(2)), stepBoth(t, plain, graphed, empty))
				}
				require.Equal(t, i > 0, recordedShapes(graphed) > 0)
			}
			sameState(t, plain, graphed, reports...)
			require.Equal(t, name == "overflowing", reports[0][0].Skipped)
		})
	}
}

// Gradients of parts, of one shape and of several, add up.
func graphsInParts(t *testing.T) {
	plain, graphed := pair(t, batchNormed(), nil)
	a, b := pictures(2), otherPictures(2)
	var reports [][2]*Report
	for range 2 {
		reports = append(reports, stepBoth(t, plain, graphed, a, b), stepBoth(t, plain, graphed, a, a, b, a))
	}
	require.Equal(t, 2, recordedShapes(graphed))
	sameState(t, plain, graphed, reports...)

	for i := range graphShapes { // more shapes than are kept
		wide := []data.Sample{picture("wider", 150+32*i, 40, 2, diffusioninst.Box{X1: 4, Y1: 6, X2: 60, Y2: 36})}
		reports = append(reports, stepBoth(t, plain, graphed, wide), stepBoth(t, plain, graphed, wide))
	}
	require.Equal(t, graphShapes, recordedShapes(graphed))
	sameState(t, plain, graphed, append(reports, stepBoth(t, plain, graphed, a, b))...)
}

// A step costs few launches, transfers and waits as before.
func countGraphs(t *testing.T) {
	for _, k := range []struct {
		name                                  string
		config                                diffusioninst.Config
		operators, launches, transfers, waits int64
	}{{"frozen norms", small(2), 260, 110, 7, 3}, {"batch norm", batchNormed(), 260, 110, 7, 3}} {
		k.config.Decoder.Stages = 6
		plain, graphed := pair(t, k.config, nil)
		batch := pictures(2)
		for range 2 {
			stepBoth(t, plain, graphed, batch)
		}
		count := func(tr *Trainer, more ...[]data.Sample) torch.Counts {
			return torch.Count(func() {
				_, err := tr.Step(context.Background(), append(more, batch)...)
				require.NoError(t, err)
			})
		}
		without, with := count(plain), count(graphed)
		for name, n := range map[string]torch.Counts{"operator by operator": without, "graphs": with} {
			t.Logf("%s, %s: operators %d, launches %d, of own kernels and graphs %d, transfers %d, synchronisations %d",
				k.name, name, n.Operators, n.Started+n.Launches, n.Launches, n.Transfers, n.Waits)
		}
		require.LessOrEqual(t, with.Operators, k.operators)
		require.LessOrEqual(t, with.Started+with.Launches, k.launches)
		require.LessOrEqual(t, with.Transfers, k.transfers)
		require.LessOrEqual(t, with.Waits, k.waits)
		three, four := count(graphed, batch, batch), count(graphed, batch, batch, batch)
		part := four.Started + four.Launches - three.Started - three.Launches
		t.Logf("a further part: launches %d", part)
		require.LessOrEqual(t, part, k.launches, "gradients are copied for the second part only")
	}
}

// A state that is resumed between steps, whose fixed norms may be others, is what the next steps go on from.
func graphsResumed(t *testing.T) {
	ctx := context.Background()
	plain, graphed := pair(t, small(2), func(o *Options) { o.Frozen = nil })
	batch := pictures(2)
	path := filepath.Join(t.TempDir(), "state.safetensors")
	for range 3 {
		stepBoth(t, plain, graphed, batch)
	}
	require.NoError(t, graphed.Save(ctx, path, nil))
	want := stepBoth(t, plain, graphed, batch)
	for _, tr := range []*Trainer{plain, graphed} {
		_, err := tr.Resume(ctx, path)
		require.NoError(t, err)
	}
	for i := range 3 {
		again := stepBoth(t, plain, graphed, batch)
		if i == 0 {
			require.InEpsilon(t, want[1].Total, again[1].Total, 1e-3)
		}
		sameState(t, plain, graphed, again)
	}
	require.Equal(t, 1, recordedShapes(graphed))

	require.NoError(t, torch.Do(ctx, func(*torch.Scope) error { // what fixed norms are folded from is made anew
		for _, tr := range []*Trainer{plain, graphed} {
			for _, n := range tr.store.Norms() {
				n.Variance.MulScalarInPlace(2)
			}
		}
		return nil
	}))
	for range 3 {
		sameState(t, plain, graphed, stepBoth(t, plain, graphed, batch))
	}
}

func graphsRefused(t *testing.T) {
	_, err := New(context.Background(), small(2), nn.FromSeed(1), torch.CUDA(0), Options{Graphs: true, Eager: true})
	require.ErrorContains(t, err, "operator by operator (Eager)")
	for name, k := range map[string]struct {
		backbone backbone.Builder
		says     string
	}{
		"Swin": {
			backbone.SwinFPN{Channels: 16, Swin: backbone.Swin{Size: "XXS", EmbedDim: 8, Depths: [4]int{2, 1, 1, 1}, Heads: [4]int{1, 1, 2, 2}, Window: 4}},
			"the host draws the backbone's stochastic depth",
		},
		"a backbone that waits": {changedBuilder(func(levels []*torch.Tensor) {
			levels[0] = levels[0].MulScalar(1 + 0*levels[0].Detach().Mean().Item())
		}), "a copy between the host and a GPU cannot be part of a CUDA graph"},
		"a backbone that waits in LibTorch": {changedBuilder(func(levels []*torch.Tensor) { levels[0].Detach().Nonzero() }), "stream is capturing"},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
			defer slog.SetDefault(before)
			c := small(2)
			c.Backbone = k.backbone
			plain, graphed := pair(t, c, nil)
			var reports [][2]*Report
			for range 3 {
				reports = append(reports, stepBoth(t, plain, graphed, pictures(2)), stepBoth(t, plain, graphed, otherPictures(2)))
			}
			require.Zero(t, recordedShapes(graphed))
			sameState(t, plain, graphed, reports...)
			require.Equal(t, 1, strings.Count(said.String(), "computed operator by operator"), said.String())
			if fakecuda.Inside() {
				require.Contains(t, said.String(), k.says)
			}
		})
	}
}

// changedBuilder builds a pyramid whose levels are changed.
func changedBuilder(change func([]*torch.Tensor)) backbone.Builder {
	return backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
		b, err := small(2).Backbone.Build(p)
		return changedPyramid{b, change}, err
	})
}

type changedPyramid struct {
	backbone.Backbone
	change func([]*torch.Tensor)
}

func (c changedPyramid) Forward(x *torch.Tensor) []*torch.Tensor {
	levels := c.Backbone.Forward(x)
	c.change(levels)
	return levels
}

// A step that lacks memory, before, while and after graphs are recorded, frees them and leaves the state as it was.
func graphsOutOfMemory(t *testing.T) {
	limit := func(bytes float64) { t.Setenv("FAKE_CUDA_LIMIT", strconv.Itoa(int(bytes))) }
	plain, graphed := pair(t, batchNormed(), nil)
	batch := pictures(2)
	for round := range 3 { // computes, records, replays
		lacked := 0
		for need := 256.0; ; need *= 2 {
			for range round { // what it then lacks memory in
				sameState(t, plain, graphed, stepBoth(t, plain, graphed, batch))
			}
			require.Equal(t, round > 1, recordedShapes(graphed) == 1)
			limit(need)
			_, err := graphed.Step(context.Background(), batch)
			t.Setenv("FAKE_CUDA_LIMIT", "")
			if err == nil {
				_, err = plain.Step(context.Background(), batch)
				require.NoError(t, err)
				sameState(t, plain, graphed)
				break
			}
			lacked++
			var full *OutOfMemoryError
			require.ErrorAs(t, err, &full)
			require.Zero(t, recordedShapes(graphed))
			sameState(t, plain, graphed)
		}
		require.Greater(t, lacked, 2, "round %d", round)
		graphed.graphs.drop()
	}
}

// Graphs are refused where they cannot be had.
func TestGraphsNeedAGPU(t *testing.T) {
	_, err := New(context.Background(), small(2), nn.FromSeed(1), torch.CPU, Options{Graphs: true})
	require.ErrorContains(t, err, "graphs on cpu: they are for GPUs")
}

// Workers have streams of their own, in which graphs of another one's cannot run: steps are then computed operator by operator.
func graphsOfWorkers(t *testing.T) {
	if !torch.SetWorkers(2) {
		t.Skip("another test has started the worker")
	}
	plain, graphed := pair(t, small(2), nil)
	batch := pictures(2)
	for range 4 {
		sameState(t, plain, graphed, stepBoth(t, plain, graphed, batch))
	}
	for i := 0; !graphed.graphs.refused; i++ {
		require.Less(t, i, 200, "all steps are one worker's")
		_, err := graphed.Step(context.Background(), batch)
		require.NoError(t, err)
	}
	require.Zero(t, recordedShapes(graphed))
}
