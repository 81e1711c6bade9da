// Command loss trains with a term of its own in the objective.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

// smallFilters keeps the filters of matched proposals small.
type smallFilters struct{ weight float64 }

func (smallFilters) Name() string { return "loss_filters" }

func (l smallFilters) Loss(p train.StagePrediction) *torch.Tensor {
	sum := p.Filters.MulScalar(0).Sum()
	for _, m := range p.Pairs {
		if p.Samples[m.Sample].Objects[m.Object].Mask != nil {
			filter := p.Filters.Select(0, m.Sample).Select(0, m.Proposal)
			sum = sum.Add(filter.Mul(filter).Mean())
		}
	}
	return sum.MulScalar(l.weight / p.Divisor)
}

func main() {
	ctx := context.Background()
	config := diffusioninst.ResNet50COCO()
	trainer, err := train.New(ctx, config, nn.FromSeed(1), torch.CPU, train.Options{
		Objective: train.Objective{Extra: []train.StageLoss{smallFilters{0.1}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()
	report, err := trainer.Step(ctx, []data.Sample{{ID: "black", Width: 64, Height: 64, RGB: make([]uint8, 3*64*64)}})
	if err != nil {
		log.Fatal(err)
	}
	for _, loss := range report.Losses {
		fmt.Println(loss.Name, loss.Value)
	}
}
