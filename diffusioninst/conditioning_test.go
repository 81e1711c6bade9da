package diffusioninst

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// conditioned is a small model that is told its last estimate.
func conditioned() Config {
	c := small()
	c.Decoder.SelfConditioning = true
	return c
}

// hearing lets the decoder listen to its last estimate, which it does not when it starts.
type hearing struct{ nn.Source }

func (h hearing) Parameter(s *torch.Scope, name string, shape []int, init nn.Init) (*torch.Tensor, error) {
	if name == "head.self_conditioning.weight" {
		init = nn.XavierUniform
	}
	return h.Source.Parameter(s, name, shape, init)
}

// onHost is a renewal that decides on the host alone.
type onHost struct{ sampler.Renewal }

// traced returns the scores of all proposals after each step.
func traced(t *testing.T, m *Model, o Options) [][]float32 {
	t.Helper()
	var out [][]float32
	o.Score, o.Seed = -1, 4
	o.OnStep = func(r *StepResult) { out = append(out, r.Scores) }
	_, err := m.Segment(context.Background(), pattern(64, 64), o)
	require.NoError(t, err)
	require.Len(t, out, o.Steps)
	return out
}

func TestSelfConditioning(t *testing.T) {
	ctx := context.Background()
	load := func(c Config, source nn.Source) *Model {
		m, err := NewFrom(ctx, c, source, torch.CPU)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		return m
	}
	plain, deaf, hears := load(small(), nn.FromSeed(1)), load(conditioned(), nn.FromSeed(1)), load(conditioned(), hearing{nn.FromSeed(1)})
	half := sampler.TopFraction(0.5)
	for name, c := range map[string]struct {
		sampling sampler.Config
		from     int // the first step that is told something
	}{
		"none renewed":     {sampler.Config{Renewal: sampler.NoRenewal{}}, 1},
		"half are renewed": {sampler.Config{Renewal: half}, 1},
		"in float64":       {sampler.Config{Renewal: half, Float64: true}, 1},
		"all are renewed":  {sampler.Config{Renewal: sampler.Threshold(2)}, 3},
		"Heun":             {sampler.Config{Renewal: half, Sampler: sampler.Heun{}}, 1},
		"Restart":          {sampler.Config{Renewal: half, Sampler: sampler.Restart{}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Steps: 3, Sampling: &c.sampling}
			want, got := traced(t, plain, o), traced(t, hears, o)
			require.Equal(t, want, traced(t, deaf, o), "a map of zeros changes nothing")
			require.Equal(t, want[:c.from], got[:c.from], "nothing is known")
			for i := c.from; i < 3; i++ {
				require.NotEqual(t, want[i], got[i], "step %d", i)
			}
			c.sampling.Renewal = onHost{c.sampling.Renewal}
			require.Equal(t, got, traced(t, hears, o), "decided on the host")
		})
	}
}

// What the decoder is told of proposals, by hand, with a prior of sizes and filters in the state.
func TestWhatIsToldOfProposals(t *testing.T) {
	c := conditioned()
	c.SizePrior, c.SignalScale = SizePrior{Mean: 0.1, Std: 0.05}, 2
	p := &pass{model: &Model{config: c}, settings: &settings{sampling: sampler.Config{Schedule: sampler.Schedule{0.36}}}}
	modeltest.Do(t, func(s *torch.Scope) {
		x := torch.From(s, []float32{0.7, -0.35, 1.4, -70, 9, 9, 0, 0, 0, 0, 9, 9}, 1, 2, 6)
		require.Equal(t, make([]float32, 18), torch.Values[float32](p.conditioning(sampler.Moment{}, x)))
		// Sides have a mean of −1.6 and a standard deviation of 0.2 in the signal; α + σ = 0.6 + 0.8.
		last := torch.From(s, []float32{0.3, -0.2, 2, 1, 9, 9, 5, 5, 5, 5, 9, 9}, 1, 2, 6)
		known := torch.From(s, []uint8{1, 0}, 1, 2).EqScalar(1)
		told := torch.Values[float64](p.conditioning(sampler.Moment{Last: last, Known: known}, x))
		closetest.Slices(t, []float64{0.5, -0.25, -1.4, -2, 0.3, -0.2, -1.2, -1.4, 1}, told[:9], 1e-6)
		require.Equal(t, make([]float64, 9), told[9:])
	})
}
