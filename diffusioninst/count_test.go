package diffusioninst

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// countedBackbone counts the passes through a backbone.
type countedBackbone struct {
	backbone.Backbone
	passes *int
}

func (c countedBackbone) Forward(x *torch.Tensor) []*torch.Tensor {
	*c.passes++
	return c.Backbone.Forward(x)
}

// countedModel is a small model and the number of passes through its backbone.
func countedModel(t *testing.T) (*Model, *int) {
	t.Helper()
	before, passes, config := torch.Live(), new(int), small()
	inner := config.Backbone
	config.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
		b, err := inner.Build(p)
		return countedBackbone{b, passes}, err
	})
	m, err := New(context.Background(), config, 1, torch.CPU)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		require.Equal(t, before, torch.Live(), "tensors left behind")
	})
	return m, passes
}

func TestBackboneRunsOncePerPicture(t *testing.T) {
	m, passes := countedModel(t)
	ctx, img := context.Background(), pattern(100, 80)
	for _, o := range []Options{
		{Score: -1}, {Score: -1, Steps: 4}, {Score: -1, Steps: 4, Sampling: &sampler.Config{Sampler: sampler.Heun{}}},
		{Score: -1, Steps: 4, Ensemble: &Ensemble{Vote: 0.5}},
	} {
		*passes = 0
		_, err := m.Segment(ctx, img, o)
		require.NoError(t, err)
		require.Equal(t, 1, *passes)
	}
	*passes = 0
	_, err := m.Segment(ctx, img, Options{Score: -1, Steps: 4, OnStep: func(*StepResult) {}})
	require.NoError(t, err)
	require.Equal(t, 1, *passes, "a result and its steps are of one run")
	*passes = 0
	_, err = m.Segment(ctx, img, Options{Score: -1, Steps: 4, Augment: Augment{Scales: []int{64, 80}, Flip: true}})
	require.NoError(t, err)
	require.Equal(t, 4, *passes, "once per view")
}

// TestBackboneAndMaskBranchRunOnce takes both parts out of the model once the mask
// features are there: a second pass through either would panic. The decoder, which
// stays, runs once per step.
func TestBackboneAndMaskBranchRunOnce(t *testing.T) {
	m := smallModel(t)
	backbone, branch := m.backbone, m.branch
	defer func() { m.backbone, m.branch = backbone, branch }()
	for _, steps := range []int{1, 4} {
		m.backbone, m.branch = backbone, branch
		features, decoded := 0, 0
		p := testPass(t, m, pattern(100, 80), Options{Score: -1, Steps: steps})
		p.watch = &watcher{
			input: func(*torch.Tensor) {}, levels: func([]*torch.Tensor) {},
			masks: func(*torch.Tensor) {
				features++
				m.backbone, m.branch = pyramid{backbone}, nil
			},
			decoded: func(int, int, *torch.Tensor, []decoder.Output) { decoded++ },
		}
		err := torch.Do(context.Background(), func(s *torch.Scope) error {
			found, err := p.run(context.Background(), s, sampler.SeededNoise(1))
			if err == nil {
				require.NotEmpty(t, found[0])
			}
			return err
		})
		require.NoError(t, err)
		require.Equal(t, 1, features)
		require.Equal(t, steps, decoded)
	}
}

// pyramid knows the shape of a backbone's features and cannot compute them.
type pyramid struct{ backbone.Backbone }

func (pyramid) Forward(*torch.Tensor) []*torch.Tensor {
	panic(&torch.Error{Op: "backbone", Message: "a second pass"})
}

// BenchmarkSteps compares one and four steps with what they are made of: one pass
// through backbone and mask branch, and one through the decoder for each step. It
// is the paper's ResNet-50 with 500 proposals on a picture of 480×320 pixels, untrained,
// so that no masks are made. All times are the best of the run; t4/parts is
// t(4 steps) / (t(backbone and mask branch) + 4·t(decoder)).
func BenchmarkSteps(b *testing.B) {
	ctx, config := context.Background(), ResNet50COCO()
	config.Input = Input{Short: 320}
	m, err := NewFrom(ctx, config, still{nn.FromSeed(1)}, torch.CPU)
	require.NoError(b, err)
	defer m.Close()
	img := pattern(480, 320)
	p := testPass(b, m, img, Options{})
	features, decode, one, four := time.Hour, time.Hour, time.Hour, time.Hour
	segment := func(steps int) time.Duration {
		start := time.Now()
		r, err := m.Segment(ctx, img, Options{Steps: steps})
		require.NoError(b, err)
		require.Empty(b, r.Instances)
		return time.Since(start)
	}
	for b.Loop() {
		f, d := p.parts(b)
		features, decode = min(features, f), min(decode, d)
		one, four = min(one, segment(1)), min(four, segment(4))
	}
	parts := features + 4*decode
	for unit, d := range map[string]time.Duration{"features-ms": features, "decoder-ms": decode, "1step-ms": one, "4steps-ms": four} {
		b.ReportMetric(float64(d.Microseconds())/1e3, unit)
	}
	b.ReportMetric(math.Round(1e4*four.Seconds()/parts.Seconds())/1e4, "t4/parts")
}

// parts times backbone with mask branch, and the decoder once on boxes of noise.
func (p *pass) parts(b *testing.B) (features, decode time.Duration) {
	require.NoError(b, torch.Do(context.Background(), func(s *torch.Scope) error {
		m, v := p.model, p.views[0]
		start := time.Now()
		levels := m.backbone.Forward(p.pack(s))
		m.branch.Forward(levels)
		features = time.Since(start)
		noise := sampler.SeededNoise(0)(s, []int{1, m.config.Proposals, 4})
		sizes := torch.From(s, []float32{float32(v.width), float32(v.height), float32(v.width), float32(v.height)}, 1, 1, 4)
		boxes := corners(noise.Clamp(-2, 2).DivScalar(2).AddScalar(1).DivScalar(2)).Mul(sizes)
		start = time.Now()
		_, err := m.decoder.Forward(levels, boxes, []float64{999}, false)
		decode = time.Since(start)
		return err
	}))
	return features, decode
}
