//go:build cgo

package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train"
)

func init() { modelCommands = append(modelCommands, newTrainCommand) }

// trainOptions are the flags of the train command.
type trainOptions struct {
	annotationFlags
	pictures                 pictureFlags
	config, weights, device  string
	train, val               string
	images, valImages        string
	out, resume              string
	steps, batch, accumulate int
	saveEvery, evalEvery     int
	threads                  int
	workers, replicas        int
	processes                int
	processesTimeout         time.Duration
	precision, norm          string
	evalSteps                []int
	seed                     uint64
	memory                   float64 // of --max-memory
	tf32, graphs             bool
	ema                      emaFlag
	set                      func(name string) bool
}

func newTrainCommand() *cobra.Command {
	var o trainOptions
	cmd := &cobra.Command{
		Use:   "train --config FILE --train FILE [--images FOLDER] --out FOLDER",
		Short: "Train a model on a data set, or continue a training run",
		Long: `Train a model on a data set in COCO or LVIS format, or in another that convert reads: a
folder of LabelMe files, data.yaml of YOLO (--train takes its split train, --val its val),
label maps, folders of masks. The configuration is a Detectron2 YAML file as in the official
project: it describes the model, the augmentation, the optimiser and the length of the run.
The classes are the data set's.

These files are written to the output folder:
  last.safetensors   everything that --resume needs; written regularly and when the
                     run is stopped (Ctrl-C, SIGTERM, a closed terminal)
  best.safetensors   the same, at the best evaluation
  model.safetensors, model.pth  the model, when the run has ended
  train.csv, evaluation.csv, events.out.tfevents.*  losses and metrics, for
                     spreadsheets and TensorBoard
  train.png, evaluation.png  plots of them

Several processes, on one machine or many, learn what one does: losses are normalised over
the whole batch, and --batch counts the pictures of all. Rank 0 writes the files.
A run that was killed continues from its last checkpoint with --resume; --resume=auto begins
one, or continues it. On the CPU, with the same number of threads, the model is bit-identical
to that of an uninterrupted run.`,
		Example: `  diffusioninst train --config config.yaml --train train.json --val val.json --images pictures --out run
  diffusioninst train --config config.yaml --train train.json --val val.json --images pictures --out run --resume`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrain(cmd, &o) },
	}
	o.annotationFlags.add(cmd)
	o.pictures.add(cmd, false)
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "Detectron2 YAML file that describes the model and its training")
	f.StringVar(&o.train, "train", "", "data set to learn from: a file of COCO or LVIS, or a file or folder in another format that convert reads")
	f.StringVar(&o.val, "val", "", "data set to evaluate the model on (default: none)")
	f.StringVar(&o.images, "images", "", "folder of the pictures (default: beside the annotations)")
	f.StringVar(&o.valImages, "val-images", "", "folder of the pictures of --val (default: --images)")
	f.StringVar(&o.out, "out", "", "folder for the run's files")
	f.StringVar(&o.resume, "resume", "", "continue the run in --out from its last checkpoint; --resume=FILE from another one there, such as best.safetensors, --resume=auto if there is one")
	f.Lookup("resume").NoOptDefVal = train.LastCheckpoint
	f.StringVar(&o.weights, "weights", "", "checkpoint to start from: a DiffusionInst, an ImageNet backbone or builtin:nuclei; none for random weights (default: MODEL.WEIGHTS of the configuration)")
	o.ema.add(f)
	f.StringVar(&o.device, "device", "auto", "auto, cpu, cuda or cuda:N; without N each of several processes takes the GPU of its rank on the machine")
	f.Float64Var(&o.memory, "max-memory", 0, "GiB of memory that a step may need, by an estimate, before the run ends with an error (default on the CPU: 64, or the container's limit if that is less; negative for no limit)")
	f.IntVar(&o.threads, "threads", 0, "CPU threads per operator (default: the physical cores)")
	f.IntVar(&o.workers, "workers", 0, "pictures that are read at the same time (default: DATALOADER.NUM_WORKERS of the configuration)")
	f.IntVar(&o.steps, "steps", 0, "steps of the whole run; a cosine schedule ends there, and its warm-up takes at most a fifth of them (default: SOLVER.MAX_ITER of the configuration)")
	f.IntVar(&o.batch, "batch", 0, "pictures per step (default: SOLVER.IMS_PER_BATCH of the configuration)")
	f.IntVar(&o.accumulate, "accumulate", 1, "compute a batch in this many parts, one after the other, to save memory")
	f.IntVar(&o.replicas, "replicas", 1, "compute a batch in this many parts at the same time, each on its share of the cores: faster; batch norm sees one part unless the configuration says SyncBN")
	f.IntVar(&o.processes, "processes", 0, "start this many processes on this machine, each of which computes a part of every batch; under torchrun, srun or mpirun and in Kubeflow the command joins the others by itself")
	f.DurationVar(&o.processesTimeout, "processes-timeout", processes.DefaultTimeout, "how long processes wait for each other, to meet and in each step, before the run ends with an error that names the missing ones")
	f.StringVar(&o.precision, "precision", "", "type of convolutions and linear layers: float32, bfloat16, or float16 on a GPU (default: bfloat16 if SOLVER.AMP is enabled, else float32)")
	f.StringVar(&o.norm, "norm", "", strings.Replace(normUsage, "the model's, usually auto", "INPUT.NORMALIZE of the configuration, usually auto", 1))
	f.BoolVar(&o.tf32, "tf32", false, tf32Usage)
	f.BoolVar(&o.graphs, "graphs", false, "let a GPU record a step up to the matching, forward and backward, for each size of batch as CUDA graphs, which cost few launches (LibTorch 2.1 or later, one process; not yet measured)")
	f.IntVar(&o.saveEvery, "save-every", 0, "steps between checkpoints; 0 for one at the end (default: SOLVER.CHECKPOINT_PERIOD of the configuration)")
	f.IntVar(&o.evalEvery, "eval-every", 0, "steps between evaluations; 0 for one at the end (default: TEST.EVAL_PERIOD of the configuration)")
	f.IntSliceVar(&o.evalSteps, "eval-steps", nil, "numbers of denoising steps to evaluate with, such as 1,4 (default: the model's)")
	f.IntVar(&o.limitImages, "limit-images", 0, "evaluate on this many pictures of --val, the first ones (default: all)")
	f.Uint64Var(&o.seed, "seed", 0, "seed of weights, noise and the order of pictures (default: SEED of the configuration)")
	for _, name := range []string{"config", "train", "out"} {
		_ = cmd.MarkFlagRequired(name)
	}
	o.set = f.Changed
	return cmd
}
