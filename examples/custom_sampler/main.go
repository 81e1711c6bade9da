// Command custom_sampler runs a sampler of its own beside DDIM on a picture:
//
//	go run ./examples/custom_sampler examples/segment_image/nuclei.png [CHECKPOINT]
//
// Without a checkpoint the weights are random and find only noise.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// midpoint is the explicit midpoint method for the probability flow dy/ds = x0(x, t), with
// y = x/σ and s = α/σ: it takes half a step, denoises there, and takes the whole step with
// that x0.
type midpoint struct{}

func (midpoint) String() string { return "midpoint" }

func (midpoint) Step(s *sampler.Step) (*torch.Tensor, error) {
	half := *s
	half.Next = (s.T + s.Next) / 2
	x0, err := s.Denoise(half.Flow(s.X0), half.Next)
	if err != nil {
		return nil, err
	}
	return s.Flow(x0), nil
}

const usage = `usage: custom_sampler PICTURE [CHECKPOINT]

Runs a sampler that this example defines, and DDIM, on a picture and prints
what each finds. Without a checkpoint the weights are random and find only noise:

  go run ./examples/custom_sampler examples/segment_image/nuclei.png
`

func main() {
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if flag.NArg() < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), flag.Arg(0), flag.Args()[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, path string, checkpoint []string) error {
	img, err := picture.Open(path, picture.Options{})
	if err != nil {
		return err
	}
	var model *diffusioninst.Model
	options := diffusioninst.Options{Seed: 1}
	if len(checkpoint) > 0 {
		model, err = diffusioninst.Load(ctx, checkpoint[0], diffusioninst.LoadOptions{})
	} else {
		options.Score, options.Limit = -1, 10
		config := diffusioninst.ResNet50COCO()
		config.Input.Short, config.Proposals = 320, 100
		model, err = diffusioninst.New(ctx, config, 0, torch.CPU)
	}
	if err != nil {
		return err
	}
	defer model.Close()
	for _, s := range []sampler.Sampler{sampler.DDIM{Eta: 1}, midpoint{}} {
		options.Sampling = &sampler.Config{Sampler: s, Steps: 4}
		start := time.Now()
		result, err := model.Segment(ctx, img, options)
		if err != nil {
			return err
		}
		fmt.Printf("%v: %d instances in %v\n", s, len(result.Instances), time.Since(start).Round(time.Millisecond))
		for _, i := range result.Instances {
			fmt.Printf("  %s %.3f at %v, %d pixels\n", i.Name, i.Score, i.Box, i.Area())
		}
	}
	return nil
}
