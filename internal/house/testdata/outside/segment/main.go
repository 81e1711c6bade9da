// Command segment segments a picture with every option of a request.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/picture"
)

func main() {
	ctx := context.Background()
	model, err := nuclei.Load(ctx, diffusioninst.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	img, err := picture.Open("picture.png", picture.Options{})
	if err != nil {
		log.Fatal(err)
	}
	result, err := model.Segment(ctx, img, diffusioninst.Options{
		Steps: 4, Score: 0.4, Limit: 100, Seed: 1, Scale: 0.5, Tile: 256,
		Augment: diffusioninst.Augment{Flip: true, IoU: 0.6},
		OnStep: func(s *diffusioninst.StepResult) {
			fmt.Printf("step %d of %d: %d boxes, %d instances\n", s.Step+1, s.Steps, len(s.Boxes), len(s.Result.Instances))
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range result.Instances {
		fmt.Println(in.Name, in.Score, in.Box.IoU(result.Instances[0].Box), in.Mask.Area())
	}
	if _, err := result.LabelMap(); err != nil {
		log.Fatal(err)
	}
}
