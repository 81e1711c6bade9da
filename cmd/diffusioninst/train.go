//go:build cgo

package main

import (
	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/train"
)

func init() { modelCommands = append(modelCommands, newTrainCommand) }

// trainOptions are the flags of the train command.
type trainOptions struct {
	config, weights, device  string
	train, val               string
	images, valImages        string
	out, resume, onError     string
	steps, batch, accumulate int
	saveEvery, evalEvery     int
	limitImages, threads     int
	workers, replicas        int
	precision                string
	evalSteps                []int
	seed                     uint64
	tf32                     bool
	set                      func(name string) bool
}

func newTrainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train --config FILE --train FILE --images FOLDER --out FOLDER",
		Short: "Train a model on a data set, or continue a training run",
		Long: `Train a model on a data set of COCO or LVIS form. The configuration is a Detectron2
YAML file of the official project: it says what the model is, how pictures are
changed, and how long and how fast it learns. The classes are those of the data set.

Below the output folder are written:
  last.safetensors   everything that --resume needs, every so often and when the run
                     is stopped (Ctrl-C, SIGTERM)
  best.safetensors   the same, at the best evaluation
  model.safetensors, model.pth  the model, when the run is over
  train.csv, evaluation.csv, events.out.tfevents.*  losses and metrics, for
                     spreadsheets and TensorBoard
  train.png, evaluation.png  the same to look at
A run that was killed goes on from its last checkpoint with --resume, and on the CPU
comes to the same model, bit for bit, as one with as many threads that was not.`,
		Example: `  diffusioninst train --config config.yaml --train train.json --val val.json --images pictures --out run
  diffusioninst train --config config.yaml --train train.json --val val.json --images pictures --out run --resume`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrain(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "Detectron2 YAML file of the model and of its training")
	f.StringVar(&o.train, "train", "", "data set to learn from, in COCO or LVIS form")
	f.StringVar(&o.val, "val", "", "data set to measure the model on (default: none)")
	f.StringVar(&o.images, "images", "", "folder of the pictures")
	f.StringVar(&o.valImages, "val-images", "", "folder of the pictures of --val (default: --images)")
	f.StringVar(&o.out, "out", "", "folder of the run")
	f.StringVar(&o.resume, "resume", "", "go on with the run in --out; --resume=FILE from another checkpoint in it, such as best.safetensors")
	f.Lookup("resume").NoOptDefVal = train.LastCheckpoint
	f.StringVar(&o.weights, "weights", "", "checkpoint to start from, of a DiffusionInst or of an ImageNet backbone; none for random weights (default: MODEL.WEIGHTS of the configuration)")
	f.StringVar(&o.device, "device", "auto", "auto, cpu, cuda or cuda:N")
	f.IntVar(&o.threads, "threads", 0, "threads of one operator (default: physical cores)")
	f.IntVar(&o.workers, "workers", 0, "pictures that are read at the same time (default: the configuration's)")
	f.IntVar(&o.steps, "steps", 0, "of the whole run, where a cosine schedule ends, too (default: the configuration's)")
	f.IntVar(&o.batch, "batch", 0, "pictures a step (default: the configuration's)")
	f.IntVar(&o.accumulate, "accumulate", 1, "parts that a batch is computed in, one after the other, to save memory")
	f.IntVar(&o.replicas, "replicas", 1, "parts that a batch is computed in, side by side, each on its share of the cores: faster, with batch norm over each part unless the configuration says SyncBN")
	f.StringVar(&o.precision, "precision", "", "of convolutions and linear maps: float32, bfloat16, or float16 on a GPU (default: the configuration's)")
	f.BoolVar(&o.tf32, "tf32", false, tf32Usage)
	f.IntVar(&o.saveEvery, "save-every", 0, "steps between checkpoints (default: the configuration's)")
	f.IntVar(&o.evalEvery, "eval-every", 0, "steps between evaluations (default: the configuration's)")
	f.IntSliceVar(&o.evalSteps, "eval-steps", nil, "denoising steps to evaluate with, such as 1,4 (default: the model's)")
	f.IntVar(&o.limitImages, "limit-images", 0, "evaluate on the first so many pictures of --val (default: all)")
	f.StringVar(&o.onError, "on-error", "fail", "broken pictures and annotations: fail, or skip them and say so")
	f.Uint64Var(&o.seed, "seed", 0, "of weights, noise and order (default: the configuration's)")
	for _, name := range []string{"config", "train", "images", "out"} {
		_ = cmd.MarkFlagRequired(name)
	}
	o.set = f.Changed
	return cmd
}
