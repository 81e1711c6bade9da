package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

func ExampleTrainer_Step() {
	// A small network for one class.
	config := diffusioninst.Config{
		Backbone:  backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8}},
		Decoder:   decoder.Config{Hidden: 16, Dynamic: 4, FeedForward: 16, Heads: 2, Stages: 2},
		Classes:   []string{"square"},
		Proposals: 20,
	}
	ctx := context.Background()
	trainer, err := train.New(ctx, config, nn.FromSeed(1), torch.CPU, train.Options{
		Rate:     1e-3,
		Schedule: nn.Warmup{Steps: 10, From: 0.01, Schedule: nn.Cosine{Steps: 100}},
		Frozen:   train.FreezeStages(0), // nothing is trained yet: everything learns
	})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()

	// A white square on black.
	square := mask.NewBitmap(64, 64)
	sample := data.Sample{ID: "square.png", Width: 64, Height: 64, RGB: make([]uint8, 3*64*64)}
	for y := 16; y < 48; y++ {
		for x := 16; x < 48; x++ {
			square.Set(x, y, true)
			copy(sample.RGB[3*(64*y+x):], []uint8{255, 255, 255})
		}
	}
	sample.Objects = []data.Object{{Class: 0, Box: diffusioninst.Box{X1: 16, Y1: 16, X2: 48, Y2: 48}, Mask: square}}

	report, err := trainer.Step(ctx, []data.Sample{sample})
	if err != nil {
		log.Fatal(err)
	}
	for _, loss := range report.Losses {
		fmt.Println(loss.Name, loss.Value > 0)
	}
	// Output:
	// loss_ce true
	// loss_bbox true
	// loss_giou true
	// loss_masks true
	// loss_ce_0 true
	// loss_bbox_0 true
	// loss_giou_0 true
	// loss_masks_0 true
}
