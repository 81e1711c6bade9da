package diffusioninst

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// needsBFloat16 skips a test on processors without AVX-512.
func needsBFloat16(t *testing.T) {
	t.Helper()
	if lacking := torch.CPU.CheckPrecision(t.Context(), torch.BFloat16); lacking != nil {
		t.Skip(lacking)
	}
}

// In bfloat16 features are within 2e-2 of the reference's, and at least 98% of the instances match.
// The networks' weights are random, which amplifies rounding errors: scores of instances lie
// close together, and those at the cut of the best N pairs change places with those behind it. Of
// several steps only the first is comparable, since a renewed proposal more shifts the noise of all others.
func TestGoldenInBFloat16(t *testing.T) {
	modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
		if device == torch.CPU {
			needsBFloat16(t)
		}
		goldenIn(t, device, PrecisionBFloat16)
	})
}

func TestGoldenInFloat16(t *testing.T) {
	modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
		if device == torch.CPU {
			t.Skip("float16 is for GPUs")
		}
		goldenIn(t, device, PrecisionFloat16)
	})
}

// goldenIn runs the golden cases, or only some, in a precision of few bits.
func goldenIn(t *testing.T, device torch.Device, precision Precision, only ...string) {
	t.Helper()
	const cut = 0.05 // scores this close to the least
	all, unmatched := 0, 0
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		if len(only) > 0 && !slices.Contains(only, filepath.Base(dir)) {
			t.Skip("takes long here")
		}
		g := openGolden(t, dir)
		found := g.replay(device, precision)
		for kind, limit := range map[string]float64{
			"features": 2e-2, "mask features": 2e-2, "first step logits": 5e-2, "first step boxes": 2e-2, "first step filters": 0.15,
		} {
			t.Logf("%s: %.2g", kind, g.worst[kind])
			require.Greater(t, g.worst[kind], 1e-5, "%s: not computed in %v", kind, precision)
			require.Less(t, g.worst[kind], limit, kind)
		}
		if _, several := g.worst["later steps boxes"]; several {
			return
		}
		for i, instances := range found {
			a, u := g.matches(i, instances, cut)
			all, unmatched = all+a, unmatched+u
		}
	})
	t.Logf("%d of %d instances unmatched", unmatched, all)
	require.Positive(t, all)
	require.LessOrEqual(t, float64(unmatched), max(1, 0.02*float64(all)), "2 %, or one of few")
}

// matches returns the number of the reference's instances in picture i whose scores are above the
// least by more than cut, and how many of them have no instance of their class, of about
// their score, and with a box that overlaps by at least half (IoU).
func (g *goldenCase) matches(i int, got []Instance, cut float32) (all, unmatched int) {
	g.t.Helper()
	require.NoError(g.t, torch.Do(context.Background(), func(s *torch.Scope) error {
		boxes := torch.Values[float32](g.read(s, fmt.Sprintf("out%d.boxes_xyxy", i)))
		scores := torch.Values[float32](g.read(s, fmt.Sprintf("out%d.scores", i)))
		classes := torch.Values[int64](g.read(s, fmt.Sprintf("out%d.classes", i)))
		got := slices.Clone(got)
		for k, score := range scores {
			if score <= slices.Min(scores)+cut {
				continue
			}
			all++
			want := Box{X1: boxes[4*k], Y1: boxes[4*k+1], X2: boxes[4*k+2], Y2: boxes[4*k+3]}
			at := slices.IndexFunc(got, func(in Instance) bool {
				return int64(in.Class) == classes[k] && math.Abs(float64(in.Score-score)) < 0.1 && in.Box.IoU(want) >= 0.5
			})
			if at < 0 {
				unmatched++
				continue
			}
			got = slices.Delete(got, at, at+1)
		}
		return nil
	}))
	return all, unmatched
}

// Weights are cast once, when the model is loaded: they take half of the memory, and there are as
// many of them. What is predicted is computed in float32.
func TestPrecisionOfAModel(t *testing.T) {
	needsBFloat16(t)
	config := small()
	load := func(p Precision) *Model {
		m, err := LoadSource(t.Context(), nn.FromSeed(1), LoadOptions{Config: &config, Precision: p})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		return m
	}
	exact, low := load(PrecisionFloat32), load(PrecisionBFloat16)
	require.Equal(t, PrecisionFloat32, exact.Precision())
	require.Equal(t, PrecisionBFloat16, low.Precision())
	require.Equal(t, exact.Parameters(), low.Parameters())
	require.Less(t, float64(low.store.Bytes()), 0.6*float64(exact.store.Bytes()))

	defer func(f func() bool) { fastBFloat16 = f }(fastBFloat16)
	fastBFloat16 = func() bool { return false }
	require.Equal(t, PrecisionFloat32, load(PrecisionAuto).Precision())
	fastBFloat16 = func() bool { return true }
	auto := load(PrecisionAuto)
	require.Equal(t, PrecisionBFloat16, auto.Precision())

	want, err := low.Segment(t.Context(), pattern(90, 70), all)
	require.NoError(t, err)
	got, err := auto.Segment(t.Context(), pattern(90, 70), all)
	require.NoError(t, err)
	require.Equal(t, want, got, "the same seed gives the same result")
	batch, err := low.Segment(t.Context(), pattern(90, 70), Options{Score: -1, Steps: 3, Scale: 1, Tile: 48})
	require.NoError(t, err)
	require.NotEmpty(t, batch.Instances)
}

func TestPrecisionsAreRead(t *testing.T) {
	for _, p := range []Precision{PrecisionFloat32, PrecisionBFloat16, PrecisionFloat16, PrecisionInt8, PrecisionAuto} {
		got, err := ParsePrecision(p.String())
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
	_, err := ParsePrecision("int4")
	require.ErrorContains(t, err, "want auto, float32, bfloat16, float16 or int8")
	config := small()
	for want, o := range map[string]LoadOptions{
		"Precision(7)":             {Config: &config, Precision: 7},
		"float16 on cpu: it is":    {Config: &config, Precision: PrecisionFloat16},
		"needs LoadOptions.Config": {},
		"no averages":              {Config: &config, EMA: nn.EMAOn},
	} {
		_, err := LoadSource(t.Context(), nn.FromSeed(1), o)
		require.ErrorContains(t, err, want)
	}
}
