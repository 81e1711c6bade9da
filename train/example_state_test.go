package train_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
)

// tiny is a network for squares that is made in a moment.
var tiny = diffusioninst.Config{
	Backbone:  backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8}},
	Decoder:   decoder.Config{Hidden: 16, Dynamic: 4, FeedForward: 16, Heads: 2, Stages: 2},
	Classes:   []string{"square"},
	Proposals: 20,
}

// A run that goes on where it was stopped, at whatever moment that was.
func ExampleTrainer_Resume() {
	folder, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	ctx, state := context.Background(), filepath.Join(folder, "last.safetensors")
	for range 2 { // the program, started twice
		trainer, err := train.New(ctx, tiny, nn.FromSeed(1), torch.CPU, train.Options{EMA: 0.999})
		if err != nil {
			log.Fatal(err)
		}
		note, err := trainer.Resume(ctx, state)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Println("a new run")
		case errors.Is(err, train.ErrCorrupt):
			log.Fatal("damaged: ", err)
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Printf("goes on: %s\n", note)
		}
		if err := trainer.Save(ctx, state, []byte("of batch 0")); err != nil {
			log.Fatal(err)
		}
		trainer.Close()
	}
	// Output:
	// a new run
	// goes on: of batch 0
}

// What was trained becomes a file that needs no configuration beside it.
func ExampleTrainer_Export() {
	folder, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	trainer, err := train.New(ctx, tiny, nn.FromSeed(1), torch.CPU, train.Options{EMA: 0.999})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()
	path := filepath.Join(folder, "squares.safetensors")
	if err := trainer.Export(ctx, path, train.ExportOptions{Half: true}); err != nil {
		log.Fatal(err)
	}
	model, err := diffusioninst.Load(ctx, path, diffusioninst.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	fmt.Println(model.Config().Classes, model.Config().Proposals)
	// Output: [square] 20
}

// Training for other classes starts from what a model already knows.
func ExampleOpenPretrained() {
	folder, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	ctx, path := context.Background(), filepath.Join(folder, "squares.pth")
	squares, err := train.New(ctx, tiny, nn.FromSeed(1), torch.CPU, train.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer squares.Close()
	if err := squares.Export(ctx, path, train.ExportOptions{}); err != nil {
		log.Fatal(err)
	}

	config := tiny
	config.Classes = []string{"circle", "triangle"}
	start, err := train.OpenPretrained(ctx, path, config, 1)
	if err != nil {
		log.Fatal(err)
	}
	defer start.Close()
	trainer, err := train.New(ctx, config, start, torch.CPU, train.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()
	fmt.Println("drawn anew:", start.Drawn)
	// Output: drawn anew: [head.head_series.0.class_logits.weight head.head_series.0.class_logits.bias head.head_series.1.class_logits.weight head.head_series.1.class_logits.bias]
}
