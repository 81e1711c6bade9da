//go:build cgo

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

func init() { modelCommands = append(modelCommands, newBenchCommand) }

// benchOptions are the flags of the bench command.
type benchOptions struct {
	model modelFlags
	steps []int
	size  string
	train int
	batch int
	least time.Duration
	json  bool
	mixed bool // sizes of the pictures
}

func newBenchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench [PICTURE|FOLDER|GLOB...]",
		Short: "Time a model on this machine",
		Long: `Time a model on this machine: pictures per second and peak memory for each number of
--steps and, with --train, for training steps. Without pictures one is drawn; reading
them is not timed.

A matrix product and a convolution in the model's precision (float32 for int8) are timed
before and after each line, since shared machines change their speed. "Floor" is the
time that the products of a picture, counted from the shapes of the operators, would
take at the higher of these two rates: a model that reaches 75 % of it loses a quarter
to everything else. The column "products" is a picture's time divided by that of the
matrix product: the number to compare with other runs and machines. Below each line are
the times of a picture's parts: the host's, and on a GPU its own by CUDA events, with
those in which it waited for the host. Times are medians; memory is the process's own,
without a GPU's.`,
		Example: `  diffusioninst bench --weights untrained
  diffusioninst bench --weights model.pth --device cuda --steps 1,4 --json pictures/
  diffusioninst bench --weights untrained --config small.yaml --size 256x256 --train 4`,
		RunE: func(cmd *cobra.Command, args []string) error { return runBench(cmd, &o, args) },
	}
	o.model.addLoading(cmd)
	f := cmd.Flags()
	o.model.set = func(name string) bool { return name != "steps" && name != "proposals" && f.Changed(name) }
	f.IntSliceVar(&o.steps, "steps", []int{1, 4}, "numbers of denoising steps, a line for each")
	f.StringVar(&o.size, "size", "1216x800", "width and height of the drawn picture in pixels, such as 1216x800")
	f.Float64SliceVar(&o.model.scales, "scales", []float64{1}, "`factors` of the sizes in which the network sees a picture; one size unless this says otherwise, whatever the model's own setting is")
	f.IntVar(&o.train, "train", 0, "also time training steps on batches of this many drawn pictures")
	f.IntVar(&o.batch, "batch", 1, "pictures per call, which a GPU sees together")
	f.DurationVar(&o.least, "time", 5*time.Second, "least time to measure each line")
	f.BoolVar(&o.json, "json", false, "print one JSON object: seconds, stages, device_stages on a GPU, peak_rss_bytes, weights_bytes, model_flop, product_flop_per_second, floor_fraction, precision and more, of the first line and for each in rows")
	return cmd
}

func runBench(cmd *cobra.Command, o *benchOptions, args []string) error {
	if o.train < 0 || o.least <= 0 {
		return fmt.Errorf("--train %d --time %v: --train must not be negative, and --time must be positive", o.train, o.least)
	}
	if o.batch < 1 {
		return fmt.Errorf("--batch %d: at least 1 is required", o.batch)
	}
	if least := slices.Min(append(o.steps, 1)); least < 1 {
		return fmt.Errorf("--steps %d: at least 1 is required", least)
	}
	images, err := await(cmd.Context(), func() ([]image.Image, error) { return o.images(args) })
	if err != nil {
		return err
	}
	model, err := o.model.load(cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	r := benchReport{
		Device: model.Device().String(), LibTorch: torch.Version(), Pictures: len(images), Weights: model.Bytes(),
		Model: fmt.Sprintf("%s, %.1f M parameters", o.model.weights, float64(model.Parameters())/1e6),
		Width: images[0].Bounds().Dx(), Height: images[0].Bounds().Dy(),
	}
	if slices.ContainsFunc(images, func(img image.Image) bool { return img.Bounds().Size() != images[0].Bounds().Size() }) {
		warner(cmd)("the pictures have several sizes: times are medians over all, and there is no part of the floor")
		o.mixed = true
	}
	stop := o.rows(cmd, model, images, &r)
	if stop != nil {
		lines := len(o.steps)
		if o.train > 0 {
			lines++
		}
		stop = stopped(stop, "stopped after %d of %s", len(r.Rows), counted(lines, "line"))
		if len(r.Rows) == 0 {
			return stop
		}
	}
	r.benchRow = r.Rows[0]
	if o.json {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return errors.Join(stop, e.Encode(r))
	}
	return errors.Join(stop, r.write(cmd.OutOrStdout()))
}

// rows times all that is asked for, and adds the lines to r.
func (o *benchOptions) rows(cmd *cobra.Command, model *diffusioninst.Model, images []image.Image, r *benchReport) error {
	dtype := map[diffusioninst.Precision]torch.DType{
		diffusioninst.PrecisionFloat32: torch.Float32, diffusioninst.PrecisionBFloat16: torch.BFloat16, diffusioninst.PrecisionFloat16: torch.Float16,
		diffusioninst.PrecisionInt8: torch.Float32, // as the decoder
	}[model.Precision()]
	for _, steps := range o.steps {
		parts, onGPU := partTimes{}, partTimes{}
		options := o.model.options
		options.Steps, options.OnPart, options.OnDevicePart = steps, parts.add, onGPU.add
		row, err := o.row(cmd, model.Device(), dtype, o.batch, func(i int) error {
			parts.begin(modelParts)
			if model.Device().IsCUDA() {
				onGPU.begin(gpuParts)
			}
			batch := make([]image.Image, o.batch)
			for k := range batch {
				batch[k] = images[(i*o.batch+k)%len(images)]
			}
			_, err := model.SegmentBatch(cmd.Context(), batch, options)
			return err
		})
		if err != nil {
			return err
		}
		if o.mixed {
			row.FLOP, row.Floor = 0, 0
		}
		row.Precision = model.Precision().String()
		row.What, row.Steps, row.Stages, row.DeviceStages = "segment", steps, parts.medians(o.batch), onGPU.medians(o.batch)
		r.Rows = append(r.Rows, row)
	}
	if o.train == 0 {
		return nil
	}
	row, err := o.training(cmd, model, dtype)
	if err != nil {
		return err
	}
	r.Rows = append(r.Rows, row)
	return nil
}

// images returns the pictures of the arguments, or a drawn one.
func (o *benchOptions) images(args []string) ([]image.Image, error) {
	if len(args) == 0 {
		w, h, err := parseSize(o.size)
		if err != nil {
			return nil, err
		}
		img, _ := simulate.Nuclei(simulate.Options{Width: w, Height: h, Seed: 1})
		return []image.Image{img}, nil
	}
	paths, err := picture.Find(args)
	if err != nil {
		return nil, err
	}
	var out []image.Image
	for _, p := range paths {
		img, err := picture.Open(p, picture.Options{})
		if err != nil {
			return nil, err
		}
		out = append(out, img)
	}
	return out, nil
}

// parseSize reads WIDTHxHEIGHT.
func parseSize(text string) (w, h int, err error) {
	var rest string
	if n, _ := fmt.Sscanf(text+" end", "%dx%d %s", &w, &h, &rest); n != 3 || rest != "end" || w < 2 || h < 2 || w > 1<<14 || h > 1<<14 {
		return 0, 0, fmt.Errorf("--size %s: want WIDTHxHEIGHT in pixels, from 2 to %d", text, 1<<14)
	}
	return w, h, nil
}

// training times steps of an untrained model of the same configuration, in the type d.
func (o *benchOptions) training(cmd *cobra.Command, model *diffusioninst.Model, d torch.DType) (benchRow, error) {
	w, h, err := parseSize(o.size)
	if err != nil {
		return benchRow{}, err
	}
	trainer, err := train.New(cmd.Context(), model.Config(), nn.FromSeed(1), model.Device(), train.Options{Frozen: []string{}, Precision: d, Graphs: o.model.graphs})
	if err != nil {
		return benchRow{}, err
	}
	defer trainer.Close()
	batch := make([]data.Sample, o.train)
	for i := range batch {
		img, objects := simulate.Nuclei(simulate.Options{Width: w, Height: h, Count: 30, Seed: uint64(i)})
		batch[i] = data.Sample{ID: fmt.Sprint(i), Width: w, Height: h, RGB: picture.RGB(img)}
		for _, object := range objects {
			b := object.Box
			batch[i].Objects = append(batch[i].Objects, data.Object{Mask: object.Mask, Box: diffusioninst.Box{
				X1: float32(b.Min.X), Y1: float32(b.Min.Y), X2: float32(b.Max.X), Y2: float32(b.Max.Y),
			}})
		}
	}
	row, err := o.row(cmd, model.Device(), d, o.train, func(int) error {
		_, err := trainer.Step(cmd.Context(), batch)
		return err
	})
	row.What, row.FLOP, row.Floor = "train", 0, 0 // the products of backward passes are not counted
	return row, err
}

// row times do, which processes a batch of pictures with products in the type d, after it has warmed up.
func (o *benchOptions) row(cmd *cobra.Command, device torch.Device, d torch.DType, batch int, do func(i int) error) (benchRow, error) {
	ctx := cmd.Context()
	var err error
	counts := torch.Count(func() { err = do(0) })
	if err != nil {
		return benchRow{}, err
	}
	before, err := machineRates(ctx, device, d)
	if err != nil {
		return benchRow{}, err
	}
	resetPeakMemory()
	computed := processTime()
	times, err := measure(ctx, o.least, do)
	if err != nil {
		return benchRow{}, err
	}
	computed = processTime() - computed
	memory := peakMemory()
	after, err := machineRates(ctx, device, d)
	if err != nil {
		return benchRow{}, err
	}
	each := median(times) / float64(batch)
	rates := before.mean(after)
	flop := counts.FLOP / int64(batch)
	return benchRow{
		Batch: batch, Runs: len(times), Seconds: each, Rate: 1 / each, Processor: computed.Seconds() / float64(batch*len(times)), PeakMemory: memory, FLOP: flop,
		Product: rates.product, Convolution: rates.convolution, Products: each * rates.product / productFLOP,
		Floor: float64(flop) / rates.best() / each, Precision: d.String(),
	}, nil
}
