package nn_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// twoVectors is a store of two trained vectors, a frozen one and a buffer.
func twoVectors(device torch.Device) *nn.Store {
	st := nn.NewStore(nn.FromSeed(3), nn.StoreOptions{Device: device})
	st.Root().Parameter("a", nn.Normal(1), 4)
	st.Root().Parameter("b", nn.Normal(1), 3)
	st.Root().Parameter("frozen", nn.Normal(1), 2).SetRequiresGrad(false)
	st.Root().Buffer("mean", nn.Normal(1), 2)
	return st
}

// descend adds up the gradients of Σ a³ and, in even rounds, of Σ b².
func descend(s *torch.Scope, st *nn.Store, round int) {
	nn.ClearGrads(st.Parameters())
	torch.WithGrad(func() {
		a, b := s.Adopt(st.Parameters()[0].Tensor), s.Adopt(st.Parameters()[1].Tensor)
		a.Mul(a).Mul(a).Sum().Backward()
		if round%2 == 0 {
			b.Mul(b).Sum().Backward()
		}
	})
}

// plainVector is a parameter with what an optimiser remembers of it, in float64.
type plainVector struct {
	x, m, v []float64
	steps   int
}

func plainVectors(st *nn.Store) []*plainVector {
	var out []*plainVector
	for _, p := range st.Parameters()[:2] {
		x := torch.Values[float64](p.Tensor)
		out = append(out, &plainVector{x: x, m: make([]float64, len(x)), v: make([]float64, len(x))})
	}
	return out
}

func (p *plainVector) gradient(k, i int) float64 {
	if k == 0 {
		return 3 * p.x[i] * p.x[i]
	}
	return 2 * p.x[i]
}

func TestOptimizersAgainstTheirEquations(t *testing.T) {
	const rate = 0.01
	groups := func(st *nn.Store) []nn.ParamGroup {
		return []nn.ParamGroup{{Parameters: st.Parameters()[:1], Decay: 0.1}, {Parameters: st.Parameters()[1:], Rate: 0.5}}
	}
	etas, decays := []float64{rate, rate / 2}, []float64{0.1, 0}
	momentum := func(nesterov bool) func(p *plainVector, k, i int) {
		return func(p *plainVector, k, i int) {
			g := p.gradient(k, i) + decays[k]*p.x[i]
			p.m[i] = 0.9*p.m[i] + g
			d := p.m[i]
			if nesterov {
				d = g + 0.9*p.m[i]
			}
			p.x[i] -= etas[k] * d
		}
	}
	for name, c := range map[string]struct {
		make func(g []nn.ParamGroup) nn.Optimizer
		step func(p *plainVector, k, i int)
	}{
		"AdamW": {func(g []nn.ParamGroup) nn.Optimizer { return nn.NewAdamW(g, nn.AdamWOptions{}) }, func(p *plainVector, k, i int) {
			g := p.gradient(k, i)
			p.x[i] -= etas[k] * decays[k] * p.x[i]
			p.m[i] = 0.9*p.m[i] + 0.1*g
			p.v[i] = 0.999*p.v[i] + 0.001*g*g
			m, v := p.m[i]/(1-math.Pow(0.9, float64(p.steps))), p.v[i]/(1-math.Pow(0.999, float64(p.steps)))
			p.x[i] -= etas[k] * m / (math.Sqrt(v) + 1e-8)
		}},
		"SGD": {func(g []nn.ParamGroup) nn.Optimizer { return nn.NewSGD(g, nn.SGDOptions{Momentum: 0.9}) }, momentum(false)},
		"Nesterov": {func(g []nn.ParamGroup) nn.Optimizer {
			return nn.NewSGD(g, nn.SGDOptions{Momentum: 0.9, Nesterov: true})
		}, momentum(true)},
	} {
		t.Run(name, func(t *testing.T) {
			modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
				modeltest.Do(t, func(s *torch.Scope) {
					st := twoVectors(device)
					defer st.Close()
					want := plainVectors(st)
					still := torch.Values[float64](st.Parameters()[2].Tensor)
					o := c.make(groups(st))
					defer o.Close()
					for round := range 7 {
						descend(s, st, round)
						o.Step(rate)
						for k, p := range want {
							if k == 1 && round%2 == 1 {
								continue // no gradient, no step
							}
							p.steps++
							for i := range p.x {
								c.step(p, k, i)
							}
						}
					}
					for k, p := range want {
						closetest.Slices(t, p.x, torch.Values[float64](st.Parameters()[k].Tensor), 1e-5)
					}
					require.Equal(t, still, torch.Values[float64](st.Parameters()[2].Tensor), "frozen")
				})
			})
		})
	}
}

// tensors is a Source of what State lists.
type tensors map[string]*torch.Tensor

func (l tensors) Parameter(s *torch.Scope, name string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	if l[name] == nil {
		return nil, nil
	}
	return s.Adopt(l[name]).Clone(), nil
}

func (tensors) Names() []string { return nil }

func TestOptimizerStateContinues(t *testing.T) {
	for name, open := range map[string]func(g []nn.ParamGroup) nn.Optimizer{
		"AdamW": func(g []nn.ParamGroup) nn.Optimizer { return nn.NewAdamW(g, nn.AdamWOptions{}) },
		"SGD":   func(g []nn.ParamGroup) nn.Optimizer { return nn.NewSGD(g, nn.SGDOptions{Momentum: 0.9}) },
	} {
		t.Run(name, func(t *testing.T) {
			modeltest.Do(t, func(s *torch.Scope) {
				one, two := twoVectors(torch.CPU), twoVectors(torch.CPU)
				defer one.Close()
				defer two.Close()
				a, b := open([]nn.ParamGroup{{Parameters: one.Parameters()}}), open([]nn.ParamGroup{{Parameters: two.Parameters()}})
				defer a.Close()
				defer b.Close()
				for round := range 3 {
					descend(s, one, round)
					a.Step(0.1)
				}
				saved := tensors{}
				for _, p := range a.State() {
					saved[p.Name] = s.Adopt(p.Tensor).Clone()
				}
				for i, p := range one.Parameters() {
					two.Parameters()[i].Tensor.CopyInPlace(p.Tensor)
				}
				require.NoError(t, b.Restore(saved))
				for round := range 3 {
					for st, o := range map[*nn.Store]nn.Optimizer{one: a, two: b} {
						descend(s, st, round)
						o.Step(0.1)
					}
				}
				for i, p := range one.Parameters() {
					require.Equal(t, torch.Values[float32](p.Tensor), torch.Values[float32](two.Parameters()[i].Tensor), "bit for bit")
				}
				var e *nn.LoadError
				require.ErrorAs(t, b.Restore(tensors{}), &e)
				require.Len(t, e.Missing, len(saved))
			})
		})
	}
}

func TestClipNorm(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		st := twoVectors(torch.CPU)
		defer st.Close()
		norm := func() float64 {
			sum := 0.0
			for _, p := range st.Parameters() {
				if g := p.Tensor.Grad(s); g != nil {
					sum += math.Pow(g.Norm().Item(), 2)
				}
			}
			return math.Sqrt(sum)
		}
		require.Zero(t, nn.ClipNorm(st.Parameters(), 1), "no gradients")
		descend(s, st, 0)
		want := norm()
		require.InEpsilon(t, want, nn.ClipNorm(st.Parameters(), 0), 1e-6)
		require.InEpsilon(t, want, nn.ClipNorm(st.Parameters(), 2*want), 1e-6)
		require.InEpsilon(t, want, norm(), 1e-6, "smaller gradients stay")
		require.InEpsilon(t, want, nn.ClipNorm(st.Parameters(), want/10), 1e-6)
		require.InEpsilon(t, want/10, norm(), 1e-5)
		st.Parameters()[0].Tensor.Grad(s).FillInPlace(math.Inf(1))
		require.True(t, math.IsInf(nn.ClipNorm(st.Parameters(), 1), 1))
	})
}

func TestSchedules(t *testing.T) {
	steps := nn.MultiStep{Milestones: []int{10, 20}, Gamma: 0.1}
	for name, c := range map[string]struct {
		schedule nn.LRSchedule
		want     map[int]float64
	}{
		"constant":    {nn.ConstantRate{}, map[int]float64{0: 1, 1000: 1}},
		"steps":       {steps, map[int]float64{0: 1, 9: 1, 10: 0.1, 19: 0.1, 20: 0.01, 99: 0.01}},
		"cosine":      {nn.Cosine{Steps: 100, End: 0.2}, map[int]float64{0: 1, 50: 0.6, 25: 0.2 + 0.4*(1+math.Sqrt2/2), 100: 0.2, 500: 0.2}},
		"warm-up":     {nn.Warmup{Steps: 4, From: 0.2}, map[int]float64{0: 0.2, 1: 0.4, 3: 0.8, 4: 1, 9: 1}},
		"into steps":  {nn.Warmup{Steps: 5, From: 0, Schedule: steps}, map[int]float64{0: 0, 4: 0.8, 5: 1, 10: 0.1}},
		"into cosine": {nn.Warmup{Steps: 50, From: 0.1, Schedule: nn.Cosine{Steps: 100}}, map[int]float64{0: 0.1, 25: 0.3, 50: 0.5, 100: 0}},
		"function":    {nn.LRScheduleFunc(func(step int) float64 { return float64(step) }), map[int]float64{3: 3}},
	} {
		for step, want := range c.want {
			require.InDelta(t, want, c.schedule.Factor(step), 1e-12, "%s at %d", name, step)
		}
	}
}
