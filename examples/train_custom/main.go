// Command train_custom trains a small model on pictures of your own, with a LabelMe file
// beside each picture or one COCO file for all:
//
//	go run ./examples/train_custom --images FOLDER [--annotations FILE.json]
//
// Every fifth picture is held out to measure the model on. At the end the model is
// run/model.safetensors; the curves of the run are run/train.csv and, for TensorBoard, the
// folder run:
//
//	diffusioninst segment --weights run/model.safetensors picture.png
//
// To try it without data of your own, draw some:
//
//	go run ./cmd/diffusioninst data simulate shapes
//	go run ./examples/train_custom --images shapes --annotations shapes/instances.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
	"github.com/diffusioninst/go/train/journal"
)

type options struct {
	images, annotations, out string
	steps, batch, size       int
	resume                   bool
}

const usage = `usage: train_custom --images FOLDER [flags]

Trains a small model on pictures with a LabelMe file beside each, or with one COCO file
for all (--annotations). To try it, draw a data set first:

  go run ./cmd/diffusioninst data simulate shapes
  go run ./examples/train_custom --images shapes --annotations shapes/instances.json

Flags:
`

func main() {
	var o options
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.StringVar(&o.images, "images", "", "`folder` of the pictures")
	flag.StringVar(&o.annotations, "annotations", "", "COCO `file`; without it each picture needs a LabelMe file beside it")
	flag.StringVar(&o.out, "out", "run", "`folder` for the checkpoints and curves of the run")
	flag.IntVar(&o.steps, "steps", 3000, "training steps")
	flag.IntVar(&o.batch, "batch", 4, "pictures per step")
	flag.IntVar(&o.size, "size", 192, "width and height in pixels of the crops that it learns from")
	flag.BoolVar(&o.resume, "resume", false, "continue the stopped run in --out")
	flag.Parse()
	if o.images == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, o, os.Stdout)
	if errors.Is(err, context.Canceled) {
		log.Fatalf("stopped; the run is saved in %s: the same command with --resume continues it", o.out)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// progressEvery is the least time between two lines about the training.
const progressEvery = 5 * time.Second

func run(ctx context.Context, o options, w io.Writer) error {
	learn, held, err := open(o)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d pictures to learn from, %d to measure on; classes: %s\n", learn.Len(), held.Len(), strings.Join(learn.Classes(), ", "))
	loader, err := data.NewLoader(learn, data.LoaderOptions{Batch: o.batch, Augment: data.Chain{
		data.Flip{Horizontal: 0.5},
		data.Scale{Factor: data.Range{Min: 0.7, Max: 1.4}, Width: o.size, Height: o.size},
	}})
	if err != nil {
		return err
	}
	defer loader.Close()
	trainer, err := train.New(ctx, small(learn.Classes()), nn.FromSeed(1), torch.CPU, train.Options{
		Rate:     6e-4,
		Schedule: nn.Warmup{Steps: min(200, o.steps/5), From: 0.01, Schedule: nn.Cosine{Steps: o.steps}},
		EMA:      0.99,
		Frozen:   train.FreezeStages(0), // it starts from random weights, so everything must learn
	})
	if err != nil {
		return err
	}
	defer trainer.Close()
	var printed time.Time // the last line
	r := train.Run{
		Trainer: trainer, Batches: loader, Folder: o.out, Steps: o.steps, Data: fmt.Sprint(o.images, o.annotations, o.batch, o.size),
		EvaluateEvery: 500, Best: "AP",
		Evaluate: func(ctx context.Context, m *diffusioninst.Model) ([]journal.Scalar, error) {
			return evaluate(ctx, m, held)
		},
		OnStep: func(p train.Progress) {
			if done := p.Step + 1; time.Since(printed) > progressEvery || done == p.Steps {
				fmt.Fprintf(w, "step %d of %d: loss %.3g, %.2g s per step\n", done, p.Steps, p.Total, p.Took.Seconds())
				printed = time.Now()
			}
		},
		OnEvaluation: func(step int, metrics []journal.Scalar) error {
			fmt.Fprintf(w, "after step %d: %s %.1f, %s %.1f\n", step, metrics[0].Name, 100*metrics[0].Value, metrics[1].Name, 100*metrics[1].Value)
			return nil
		},
	}
	if o.resume {
		r.Resume = train.LastCheckpoint
	}
	return r.Do(ctx)
}

// open reads the data set and divides it into pictures to learn from and every fifth, which
// is held out.
func open(o options) (learn, held data.Dataset, err error) {
	var all data.Dataset
	if o.annotations != "" {
		all, err = data.OpenCOCO(o.annotations, o.images)
	} else {
		all, err = data.OpenLabelMe(o.images, nil, log.Printf)
	}
	if err != nil {
		return nil, nil, err
	}
	var parts [5][]int
	for i := range all.Len() {
		parts[i%5] = append(parts[i%5], i)
	}
	if held, err = data.Subset(all, parts[4]); err == nil {
		learn, err = data.Subset(all, slices.Concat(parts[:4]...))
	}
	return learn, held, err
}

// small returns a model of 5.2 million parameters, which can be trained on a CPU. Pictures
// keep their size (Scale 1), so the objects' size in pixels should vary little.
func small(classes []string) diffusioninst.Config {
	return diffusioninst.Config{
		Backbone: backbone.ResNetFPN{Channels: 64, ResNet: backbone.ResNet{
			Depth: 18, StemChannels: 32, Res2Channels: 32, Norm: nn.BatchNorm,
		}},
		Decoder:   decoder.Config{Hidden: 64, Dynamic: 16, FeedForward: 256, Heads: 4, Stages: 3},
		Classes:   classes,
		Proposals: 60,
		Input:     diffusioninst.Input{Scale: 1},
	}
}
