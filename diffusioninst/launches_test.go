package diffusioninst

import (
	"context"
	"image"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// A picture on a GPU costs a bounded number of operators and of moments at which the host waits for the GPU,
// and a step of the sampling loop none of these. No GPU is needed: see package fakecuda.
func TestLaunches(t *testing.T) {
	if fakecuda.Inside() {
		onFakeGPU(t)
		return
	}
	env := fakecuda.Build(t)
	compiled := func() (n int) {
		for _, line := range fakecuda.Log(t, env) {
			if strings.HasPrefix(line, "compile ") {
				n++
			}
		}
		return n
	}
	fakecuda.Run(t, env, "^TestLaunches$")
	require.Equal(t, 2, compiled(), "RoIAlign and masks, once each")

	kept, err := filepath.Glob(filepath.Join(fakecuda.Kernels(env), "kernel-*"))
	require.NoError(t, err)
	require.Len(t, kept, 2)
	fakecuda.Run(t, env, "^TestLaunches$/^Results$")
	require.Equal(t, 2, compiled(), "another process takes them from the disk")
	data, err := os.ReadFile(kept[0])
	require.NoError(t, err)
	data[len(data)-100] ^= 1
	require.NoError(t, os.WriteFile(kept[0], data, 0o600))
	fakecuda.Run(t, env, "^TestLaunches$/^Results$")
	require.Equal(t, 3, compiled(), "a damaged one is compiled again")
}

func onFakeGPU(t *testing.T) {
	ctx, config := context.Background(), small()
	config.Decoder.Stages = 6
	load := func(t *testing.T, device torch.Device, config Config) *Model {
		t.Helper()
		m, err := New(ctx, config, 1, device)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		return m
	}
	gpu := load(t, torch.CUDA(0), config)
	img := pattern(100, 80)
	segment := func(t *testing.T, m *Model, o Options, pictures ...image.Image) []*Result {
		t.Helper()
		out, err := m.SegmentBatch(ctx, pictures, o)
		require.NoError(t, err)
		return out
	}

	t.Run("Counts", func(t *testing.T) {
		work := func(steps int, sampling *sampler.Config) torch.Counts {
			o := Options{Steps: steps, Score: -1, Limit: 2, Sampling: sampling}
			segment(t, gpu, o, img)
			return torch.Count(func() { segment(t, gpu, o, img) })
		}
		for _, c := range []struct {
			name     string
			sampling *sampler.Config
		}{
			{"as published", nil},
			{"best half stays", &sampler.Config{Renewal: sampler.TopFraction(0.5)}},
			{"all stay", &sampler.Config{Renewal: sampler.NoRenewal{}}},
			{"of second order", &sampler.Config{Sampler: sampler.Heun{}}},
		} {
			evaluations := int64(1) // of the decoder per step
			if c.sampling != nil && c.sampling.Sampler != nil {
				evaluations = 2
			}
			one, four := work(1, c.sampling), work(4, c.sampling)
			step := func(of func(torch.Counts) int64) int64 { return (of(four) - of(one)) / 3 }
			operators := step(func(c torch.Counts) int64 { return c.Operators })
			transfers := step(func(c torch.Counts) int64 { return c.Transfers })
			t.Logf("%s: one step: operators %d, launches of own kernels %d, transfers %d, synchronisations %d; each further step: operators %d, transfers %d, synchronisations %d",
				c.name, one.Operators, one.Launches, one.Transfers, one.Waits, operators, transfers, step(func(c torch.Counts) int64 { return c.Waits }))
			require.LessOrEqual(t, one.Waits, int64(3), c.name)
			require.Equal(t, one.Waits, four.Waits, "%s: a step waits", c.name)
			require.LessOrEqual(t, one.Operators, int64(950), c.name)
			require.LessOrEqual(t, operators, int64(900)*evaluations, c.name)
		}
	})
	t.Run("Results", func(t *testing.T) {
		cpu := load(t, torch.CPU, config)
		for _, steps := range []int{1, 3} {
			o := Options{Score: -1, Steps: steps, Limit: 5}
			want, got := segment(t, cpu, o, img)[0], segment(t, gpu, o, img)[0]
			require.Equal(t, len(want.Instances), len(got.Instances))
			for i, w := range want.Instances {
				g := got.Instances[i]
				require.Equal(t, w.Class, g.Class)
				require.InDelta(t, w.Score, g.Score, 1e-4)
				require.InDelta(t, w.Box.X1, g.Box.X1, 0.01)
				require.InDelta(t, w.Box.Y2, g.Box.Y2, 0.01)
				require.InDelta(t, w.Mask.Area(), g.Mask.Area(), 2+float64(w.Mask.Area())/1000)
			}
		}
	})
	t.Run("NotFinite", func(t *testing.T) {
		broken := config
		inner := broken.Backbone
		broken.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
			b, err := inner.Build(p)
			return brokenBackbone{b}, err
		})
		_, want := load(t, torch.CPU, broken).Segment(ctx, img, Options{Steps: 3})
		_, got := load(t, torch.CUDA(0), broken).Segment(ctx, img, Options{Steps: 3})
		var lost *nn.NotFiniteError
		require.ErrorAs(t, got, &lost)
		require.EqualError(t, got, want.Error())
	})
	t.Run("OutOfMemory", func(t *testing.T) {
		few := Options{Score: -1, Limit: 2}
		limit := func(bytes float64) { t.Setenv("FAKE_CUDA_LIMIT", strconv.Itoa(int(bytes))) }
		need := 1024.0 // of one picture: no tensor is larger
		for {
			limit(need)
			_, err := gpu.Segment(ctx, img, few)
			if err == nil {
				break
			}
			require.ErrorIs(t, err, torch.ErrOutOfMemory)
			need *= 1.2
		}
		t.Setenv("FAKE_CUDA_LIMIT", "")
		pictures := []image.Image{img, pattern(100, 80), pattern(90, 80), pattern(100, 70)}
		want := segment(t, gpu, few, pictures...)
		limit(2.2 * need)
		got := segment(t, gpu, few, pictures...)
		for i := range want {
			require.Equal(t, len(want[i].Instances), len(got[i].Instances), "halves find what the whole found")
		}
		limit(1.1 * need)
		_, err := gpu.SegmentBatch(ctx, pictures, few)
		require.ErrorIs(t, err, torch.ErrOutOfMemory, "halved once only")
		segment(t, gpu, few, img) // the next request works
	})
}

// brokenBackbone computes features that are not numbers.
type brokenBackbone struct{ backbone.Backbone }

func (b brokenBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	out := b.Backbone.Forward(x)
	for i, l := range out {
		out[i] = l.MulScalar(math.NaN())
	}
	return out
}
