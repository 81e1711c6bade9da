package sampler_test

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// The data is a single point, so every denoiser's answer is that point.
func ExampleConfig_Run() {
	c := sampler.Config{Sampler: sampler.Heun{}, Steps: 4, Renewal: sampler.NoRenewal{}}
	point := []float32{1, -1}
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		x0, err := c.Run(context.Background(), s, torch.CPU, []int{1, 3, 2}, sampler.SeededNoise(1),
			func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				return sampler.Prediction{X0: torch.From(s, point).Expand(x.Shape()...)}, nil
			})
		if err == nil {
			fmt.Println(torch.Values[float32](x0))
		}
		return err
	})
	fmt.Println(err)
	// Output:
	// [1 -1 1 -1 1 -1]
	// <nil>
}

// Midpoint is a sampler that the example defines: it evaluates the denoiser again halfway.
type Midpoint struct{}

func (Midpoint) String() string { return "midpoint" }

func (Midpoint) Step(s *sampler.Step) (*torch.Tensor, error) {
	half := *s
	if half.Next = (s.T + s.Next) / 2; half.Next == s.Next {
		return s.Flow(s.X0), nil
	}
	x0, err := s.Denoise(half.Flow(s.X0), half.Next)
	if err != nil {
		return nil, err
	}
	return s.Flow(x0), nil
}

func ExampleSampler() {
	c, err := sampler.Config{Sampler: Midpoint{}, Grid: sampler.KarrasGrid{}, Steps: 6}.WithDefaults()
	times, _ := c.Times()
	fmt.Println(c.Sampler, times, err)
	// Output: midpoint [991 974 906 582 87 0] <nil>
}

func ExampleStepError() {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		c := sampler.Config{Sampler: stub(func(s *sampler.Step) (*torch.Tensor, error) { return s.X.Narrow(2, 0, 2), nil }), Steps: 2}
		_, err := c.Run(context.Background(), s, torch.CPU, []int{1, 5, 4}, sampler.SeededNoise(1), scored)
		return err
	})
	fmt.Println(err)
	// Output: sampler: stub: step 0: the sampler's state has shape [1 5 2], not [1 5 4]
}
