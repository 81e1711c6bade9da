// Command sampler runs a model with a sampler of its own.
package main

import (
	"context"
	"fmt"
	"image"
	"log"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// heun is Heun's second-order method on the probability flow.
type heun struct{}

func (heun) String() string { return "Heun" }

func (heun) Step(s *sampler.Step) (*torch.Tensor, error) {
	end := s.Flow(s.X0)
	if s.Next == 0 {
		return end, nil
	}
	x0, err := s.Denoise(end, s.Next)
	if err != nil {
		return nil, err
	}
	return s.Flow(s.X0.Add(x0).MulScalar(0.5)), nil
}

func main() {
	ctx := context.Background()
	model, err := diffusioninst.Load(ctx, "model.pth", diffusioninst.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	result, err := model.Segment(ctx, image.NewRGBA(image.Rect(0, 0, 640, 480)), diffusioninst.Options{
		Sampling: &sampler.Config{Sampler: heun{}, Steps: 4, Renewal: sampler.Threshold(0.3)},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Instances))
}
