package train_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"os"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

// squares are pictures that the example draws: each with a bright square.
func squares() iter.Seq2[data.Sample, error] {
	return func(yield func(data.Sample, error) bool) {
		for i := range 6 {
			s := data.Sample{ID: fmt.Sprint("square ", i), Width: 64, Height: 64, RGB: make([]uint8, 3*64*64)}
			square := mask.NewBitmap(64, 64)
			for y := 10 + i; y < 40+i; y++ {
				for x := 10; x < 40; x++ {
					square.Set(x, y, true)
					copy(s.RGB[3*(64*y+x):], []uint8{255, 200, 100})
				}
			}
			box := diffusioninst.Box{X1: 10, Y1: float32(10 + i), X2: 40, Y2: float32(40 + i)}
			s.Objects = []data.Object{{Box: box, Mask: square}}
			if !yield(s, nil) {
				return
			}
		}
	}
}

func ExampleRun() {
	ctx := context.Background()
	set, err := data.Collect([]string{"square"}, squares())
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(set, data.LoaderOptions{Batch: 2, Augment: data.Flip{Horizontal: 0.5}})
	if err != nil {
		log.Fatal(err)
	}
	defer loader.Close()
	config := diffusioninst.Config{
		Backbone:  backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Norm: nn.BatchNorm}},
		Decoder:   decoder.Config{Hidden: 16, Dynamic: 4, FeedForward: 16, Heads: 2, Stages: 2},
		Classes:   set.Classes(),
		Proposals: 20,
	}
	trainer, err := train.New(ctx, config, nn.FromSeed(1), torch.CPU, train.Options{Rate: 1e-3, EMA: 0.99, Frozen: train.FreezeStages(0)})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()
	folder, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	run := train.Run{
		Trainer: trainer, Batches: loader, Folder: folder, Steps: 3,
		OnStep: func(p train.Progress) { fmt.Printf("step %d of %d with %d pictures\n", p.Step+1, p.Steps, p.Pictures) },
	}
	if err := run.Do(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// step 1 of 3 with 2 pictures
	// step 2 of 3 with 2 pictures
	// step 3 of 3 with 2 pictures
}
