package sampler_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

var errOwn = errors.New("own error")

// keepFew is a renewal that forgets proposals.
type keepFew struct{}

func (keepFew) Keep([]float32) []bool { return []bool{true} }

func TestStepErrors(t *testing.T) {
	good := stub(func(s *sampler.Step) (*torch.Tensor, error) { return s.X, nil })
	denoising := func(x func(s *sampler.Step) *torch.Tensor, t int) stub {
		return func(s *sampler.Step) (*torch.Tensor, error) { return s.Denoise(x(s), t) }
	}
	whole := func(s *sampler.Step) *torch.Tensor { return s.X }
	answer := func(f func(x *torch.Tensor) sampler.Prediction) sampler.Denoiser {
		return func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) { return f(x), nil }
	}
	for _, c := range []struct {
		name    string
		sampler stub
		denoise sampler.Denoiser // scored where nil
		renewal sampler.Renewal
		noise   sampler.Noise
		step    int
		says    string
	}{
		{name: "no state", sampler: func(*sampler.Step) (*torch.Tensor, error) { return nil, nil }, says: "there is none"},
		{name: "wrong width", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.Narrow(2, 0, 3), nil }, says: "has shape [1 5 3], not [1 5 4]"},
		{name: "wrong rank", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.Select(0, 0), nil }, says: "has shape [5 4], not [1 5 4]"},
		{name: "too few proposals", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.Narrow(1, 0, 2), nil }, says: "[1 2 4]"},
		{name: "NaN", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.MulScalar(math.NaN()), nil }, says: "the sampler's state is not finite"},
		{name: "infinite", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.AddScalar(math.Inf(1)), nil }, says: "the sampler's state is not finite"},
		{name: "wrong type", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.ToDType(torch.Int64), nil }, says: "is int64 on cpu, not float32 on cpu"},
		{name: "an error", sampler: func(*sampler.Step) (*torch.Tensor, error) { return nil, errOwn }, says: "own error"},
		{name: "a panic of tensor code", sampler: func(s *sampler.Step) (*torch.Tensor, error) { return s.X.Matmul(s.X), nil }, says: "torch: "},
		{name: "a closed state", sampler: func(s *sampler.Step) (*torch.Tensor, error) { s.X.Close(); return s.X, nil }, says: "was closed"},
		{name: "denoising nothing", sampler: denoising(func(*sampler.Step) *torch.Tensor { return nil }, 5), says: "the state to denoise: there is none"},
		{name: "denoising a part", sampler: denoising(func(s *sampler.Step) *torch.Tensor { return s.X.Narrow(1, 0, 2) }, 5), says: "the state to denoise has shape [1 2 4]"},
		{name: "denoising before the first time", sampler: denoising(whole, -1), says: "time -1"},
		{name: "denoising after the last time", sampler: denoising(whole, 1000), says: "time 1000: the schedule's are 0 to 999"},
		{name: "the denoiser's error within", sampler: denoising(whole, 5), denoise: func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
			if at.Inner {
				return sampler.Prediction{}, errOwn
			}
			return scored(at, x)
		}, says: "own error"},
		{name: "the denoiser's error", denoise: func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
			if at.Step == 2 {
				return sampler.Prediction{}, errOwn
			}
			return scored(at, x)
		}, step: 2, says: "own error"},
		{name: "no estimate", denoise: answer(func(x *torch.Tensor) sampler.Prediction { return sampler.Prediction{} }), says: "the denoiser's estimate: there is none"},
		{name: "estimate of wrong shape", denoise: answer(func(x *torch.Tensor) sampler.Prediction { return sampler.Prediction{X0: x.Select(1, 0)} }), says: "the denoiser's estimate has shape [1 4]"},
		{name: "estimate NaN", denoise: answer(func(x *torch.Tensor) sampler.Prediction { return sampler.Prediction{X0: x.MulScalar(math.NaN())} }), says: "the denoiser's estimate is not finite"},
		{name: "scores of wrong shape", denoise: answer(func(x *torch.Tensor) sampler.Prediction { return sampler.Prediction{X0: x, Scores: x} }), says: "the denoiser's scores has shape"},
		{name: "no scores", denoise: answer(func(x *torch.Tensor) sampler.Prediction { return sampler.Prediction{X0: x} }), says: "no scores, which renewal by sampler.Threshold needs"},
		{name: "a panic in the denoiser", denoise: answer(func(x *torch.Tensor) sampler.Prediction { return sampler.Prediction{X0: x.Matmul(x)} }), says: "torch: "},
		{name: "a renewal that forgets", renewal: keepFew{}, says: "decided on 1 of 5 proposals"},
		{name: "noise of wrong shape", noise: sampler.SeededNoise(1, 2), says: "the noise has shape [2 5 4], not [1 5 4]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.sampler == nil {
				c.sampler = good
			}
			if c.denoise == nil {
				c.denoise = scored
			}
			if c.noise == nil {
				c.noise = sampler.SeededNoise(1)
			}
			inDo(t, func(s *torch.Scope) {
				_, err := sampler.Config{Sampler: c.sampler, Renewal: c.renewal, Steps: 4}.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, c.noise, c.denoise)
				var e *sampler.StepError
				require.ErrorAs(t, err, &e)
				require.Equal(t, "stub", e.Sampler)
				require.Equal(t, c.step, e.Step)
				require.ErrorContains(t, err, c.says)
				if c.says == "own error" {
					require.ErrorIs(t, err, errOwn)
				}
			})
		})
	}
}

// TestLaterStepsAreNamed fails in the third step.
func TestLaterStepsAreNamed(t *testing.T) {
	sm := stub(func(s *sampler.Step) (*torch.Tensor, error) {
		if s.T == 499 {
			return nil, errOwn
		}
		return s.X, nil
	})
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		_, err := sampler.Config{Sampler: sm, Steps: 4}.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1), scored)
		return err
	})
	require.EqualError(t, err, "sampler: stub: step 2: own error")
}

func TestImpossibleStates(t *testing.T) {
	for _, shape := range [][]int{nil, {5, 4}, {1, 0, 4}, {0, 5, 4}, {1, 5, 0}, {1, -5, 4}} {
		err := torch.Do(context.Background(), func(s *torch.Scope) error {
			_, err := sampler.Config{}.Run(context.Background(), s, torch.CPU, shape, sampler.SeededNoise(1), scored)
			return err
		})
		require.ErrorContains(t, err, "a state of shape", "%v", shape)
	}
}

func TestRunRefusesImpossibleConfigs(t *testing.T) {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		_, err := sampler.Config{Steps: -2}.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1), scored)
		return err
	})
	require.ErrorContains(t, err, "Steps is -2")
}

func TestOtherPanicsGoOn(t *testing.T) {
	sm := stub(func(*sampler.Step) (*torch.Tensor, error) { panic("a bug") })
	require.PanicsWithValue(t, "a bug", func() {
		_ = torch.Do(context.Background(), func(s *torch.Scope) error {
			_, err := sampler.Config{Sampler: sm, Steps: 2}.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1), scored)
			return err
		})
	})
}

// TestCancel ends a run between steps and within one.
func TestCancel(t *testing.T) {
	for _, inner := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		calls := 0
		inDo(t, func(s *torch.Scope) {
			_, err := sampler.Config{Sampler: sampler.Heun{}, Steps: 5}.Run(ctx, s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1),
				func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
					calls++
					if at.Step == 1 && at.Inner == inner {
						cancel()
					}
					return scored(at, x)
				})
			require.ErrorIs(t, err, context.Canceled)
		})
		require.Equal(t, map[bool]int{false: 3, true: 4}[inner], calls)
	}
}
