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
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
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
	fakecuda.Run(t, env, "^TestLaunches$/^Results$")
	used, err := filepath.Glob(filepath.Join(fakecuda.Kernels(env), "kernel-*"))
	require.NoError(t, err)
	require.NotEmpty(t, used)
	compiled := func() (n int) {
		for _, line := range fakecuda.Log(t, env) {
			if strings.HasPrefix(line, "compile ") {
				n++
			}
		}
		return n
	}
	for _, part := range []string{ // each has the time limit of a process
		"(Counts|PublishedSizes|Overflow|RefusedByCuDNN|NotFinite|OutOfMemory)$", "Golden$", "Precisions$/^bfloat16$", "Precisions$/^(float16|auto)$",
	} {
		fakecuda.Run(t, env, "^TestLaunches$/^"+part)
	}
	sources := compiled()
	kept, err := filepath.Glob(filepath.Join(fakecuda.Kernels(env), "kernel-*"))
	require.NoError(t, err)
	require.Len(t, kept, sources, "each is compiled once")
	fakecuda.Run(t, env, "^TestLaunches$/^Results$")
	require.Equal(t, sources, compiled(), "another process takes them from the disk")
	damage(t, used[0])
	fakecuda.Run(t, env, "^TestLaunches$/^Results$")
	require.Equal(t, sources+1, compiled(), "a damaged one is compiled again")
}

// damage changes a byte of a file.
func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-100] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

const smallest = "mini_r50s_1step" // golden case

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
	img, few := pattern(100, 80), Options{Score: -1, Limit: 2}
	segment := func(t *testing.T, m *Model, o Options, pictures ...image.Image) []*Result {
		t.Helper()
		out, err := m.SegmentBatch(ctx, pictures, o)
		require.NoError(t, err)
		return out
	}

	t.Run("Counts", func(t *testing.T) {
		of := func(m *Model, steps int, sampling *sampler.Config, more ...image.Image) torch.Counts {
			o := Options{Steps: steps, Score: -1, Limit: 2, Sampling: sampling}
			return torch.Count(func() { segment(t, m, o, append(more, img)...) })
		}
		work := func(steps int, sampling *sampler.Config) torch.Counts { return of(gpu, steps, sampling) }
		segment(t, gpu, few, img) // what is made once per model
		fewer := config
		fewer.Decoder.Stages--
		shallow := load(t, torch.CUDA(0), fewer)
		segment(t, shallow, few, img)
		for _, more := range [][]image.Image{nil, {img}} {
			deep, flat := of(gpu, 1, nil, more...), of(shallow, 1, nil, more...)
			stage := deep.Started + deep.Launches - flat.Started - flat.Launches
			t.Logf("a stage but the last, %d pictures: launches %d, of own kernels %d", 1+len(more), stage, deep.Launches-flat.Launches)
			require.LessOrEqual(t, stage, int64(12))
		}
		informed := config
		informed.SizePrior, informed.Decoder.SelfConditioning = SizePrior{Mean: 0.1, Std: 0.1}, true
		m := load(t, torch.CUDA(0), informed)
		segment(t, m, few, img)
		require.Equal(t, of(m, 1, nil).Transfers, of(m, 3, nil).Transfers, "a step copies")
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
			one, two := work(1, c.sampling), work(2, c.sampling)
			step := func(of func(torch.Counts) int64) int64 { return of(two) - of(one) }
			operators := step(func(c torch.Counts) int64 { return c.Operators })
			transfers := step(func(c torch.Counts) int64 { return c.Transfers })
			launches := step(func(c torch.Counts) int64 { return c.Started + c.Launches })
			t.Logf("%s: one step: operators %d, launches %d, of own kernels %d, transfers %d, synchronisations %d; each further step: operators %d, launches %d, transfers %d, synchronisations %d",
				c.name, one.Operators, one.Started+one.Launches, one.Launches, one.Transfers, one.Waits, operators, launches, transfers, step(func(c torch.Counts) int64 { return c.Waits }))
			require.LessOrEqual(t, one.Waits, int64(2), c.name)
			require.Equal(t, one.Waits, two.Waits, "%s: a step waits", c.name)
			require.LessOrEqual(t, one.Operators, int64(380), c.name)
			require.Zero(t, transfers, "%s: a step copies", c.name)
			require.LessOrEqual(t, operators, int64(310)*evaluations, c.name)
			require.LessOrEqual(t, launches, int64(190)*evaluations, c.name)
		}
	})
	t.Run("Results", func(t *testing.T) {
		cpu := load(t, torch.CPU, config)
		for _, o := range []Options{
			{Steps: 1}, {Steps: 3}, {Steps: 2, Restarts: 2}, {Steps: 2, Ensemble: &Ensemble{Vote: 0.5}}, {Steps: 2, Ensemble: &Ensemble{Consensus: 0.5}},
		} {
			o.Score, o.Limit = -1, 5
			want, got := segment(t, cpu, o, img, pattern(90, 80)), segment(t, gpu, o, img, pattern(90, 80))
			for k := range want {
				require.Equal(t, len(want[k].Instances), len(got[k].Instances))
				for i, w := range want[k].Instances {
					g := got[k].Instances[i]
					require.Equal(t, w.Class, g.Class)
					require.InDelta(t, w.Score, g.Score, 1e-4)
					require.InDelta(t, w.Box.X1, g.Box.X1, 0.01)
					require.InDelta(t, w.Box.Y2, g.Box.Y2, 0.01)
					require.InDelta(t, w.Mask.Area(), g.Mask.Area(), 2+float64(w.Mask.Area())/1000)
				}
			}
		}
	})
	t.Run("PublishedSizes", func(t *testing.T) { modeltest.DecoderKernels(t, torch.CUDA(0)) })
	t.Run("Golden", func(t *testing.T) {
		golden.Each(t, golden.Model, func(t *testing.T, dir string) {
			if filepath.Base(dir) != smallest {
				t.Skip("takes long here")
			}
			g := openGolden(t, dir)
			for i, instances := range g.replay(torch.CUDA(0), PrecisionFloat32) {
				g.instances(i, instances)
			}
			g.judge(torch.CUDA(0))
		})
	})
	t.Run("Precisions", func(t *testing.T) {
		for _, p := range []Precision{PrecisionBFloat16, PrecisionFloat16} {
			t.Run(p.String(), func(t *testing.T) {
				goldenIn(t, torch.CUDA(0), p, smallest)
				m := loadIn(t, config, p)
				require.Equal(t, p, m.Precision())
				one := torch.Count(func() { segment(t, m, few, img) })
				two := torch.Count(func() { segment(t, m, Options{Score: -1, Limit: 2, Steps: 2}, img) })
				t.Logf("operators %d, launches %d, a further step %d", one.Operators, one.Started+one.Launches, two.Started+two.Launches-one.Started-one.Launches)
				require.Equal(t, one.Waits, two.Waits, "a step waits")
			})
		}
		t.Run("auto", func(t *testing.T) {
			require.Equal(t, PrecisionFloat32, loadIn(t, config, PrecisionAuto).Precision())

			t.Setenv("FAKE_CUDA_CAPABILITY", "75")
			_, err := LoadSource(ctx, nn.FromSeed(1), LoadOptions{Config: &config, Device: torch.CUDA(0), Precision: PrecisionBFloat16})
			var refused *ConfigError
			require.ErrorAs(t, err, &refused)
			require.ErrorContains(t, err, "bfloat16 on cuda:0, use float32 or auto")
			require.ErrorContains(t, err, "its compute capability is 7.5, and bfloat16 needs 8.0")
			loadIn(t, config, PrecisionFloat16)
		})
	})
	t.Run("Overflow", func(t *testing.T) {
		loud := config
		inner := loud.Backbone
		loud.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
			b, err := inner.Build(p)
			return scaledBackbone{b, 1e6}, err
		})
		_, err := loadIn(t, loud, PrecisionFloat16).Segment(ctx, img, few)
		var lost *nn.NotFiniteError
		require.ErrorAs(t, err, &lost)
		require.Equal(t, "feature pyramid", lost.Where)
		require.ErrorContains(t, err, "use bfloat16 or float32")
	})
	t.Run("RefusedByCuDNN", func(t *testing.T) {
		var want, got []*Result
		fused := torch.Count(func() { want = segment(t, gpu, few, img) })
		t.Setenv("FAKE_CUDNN_REFUSES", "1")
		segment(t, gpu, few, img)
		plain := torch.Count(func() { got = segment(t, gpu, few, img) })
		require.Greater(t, plain.Started, fused.Started+20, "ReLUs are launches")
		require.Len(t, got[0].Instances, len(want[0].Instances))
		for i, w := range want[0].Instances {
			require.InDelta(t, w.Score, got[0].Instances[i].Score, 1e-4)
		}
	})
	t.Run("NotFinite", func(t *testing.T) {
		broken := config
		inner := broken.Backbone
		broken.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
			b, err := inner.Build(p)
			return scaledBackbone{b, math.NaN()}, err
		})
		_, want := load(t, torch.CPU, broken).Segment(ctx, img, Options{Steps: 3})
		_, got := load(t, torch.CUDA(0), broken).Segment(ctx, img, Options{Steps: 3})
		var lost *nn.NotFiniteError
		require.ErrorAs(t, got, &lost)
		require.EqualError(t, got, want.Error())
	})
	t.Run("OutOfMemory", func(t *testing.T) {
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

// loadIn loads an untrained model on the GPU in a precision.
func loadIn(t *testing.T, config Config, p Precision) *Model {
	t.Helper()
	m, err := LoadSource(context.Background(), nn.FromSeed(1), LoadOptions{Config: &config, Device: torch.CUDA(0), Precision: p})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// scaledBackbone computes features that are a multiple of another's.
type scaledBackbone struct {
	backbone.Backbone
	by float64
}

func (b scaledBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	out := b.Backbone.Forward(x)
	for i, l := range out {
		out[i] = l.MulScalar(b.by)
	}
	return out
}
