//go:build cgo

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"
	"text/tabwriter"
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
	least time.Duration
	json  bool
}

func newBenchCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench [PICTURE|FOLDER|GLOB...]",
		Short: "Time a model on this machine",
		Long: `Time a model on this machine: pictures per second and peak memory for each number of
--steps and, with --train, for training steps. Without pictures one is drawn; reading
them is not timed.

A product of large float32 matrices is timed before and after each line, since shared
machines change their speed. The column "products per picture" is a picture's time
divided by that of such a product: the number to compare with other runs and machines.
Times are medians; memory is the process's own, without a GPU's.`,
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
	f.IntVar(&o.train, "train", 0, "also time training steps on batches of this many drawn pictures")
	f.DurationVar(&o.least, "time", 5*time.Second, "least time to measure each line")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

// A benchReport is what bench prints.
type benchReport struct {
	Device   string `json:"device"`
	LibTorch string `json:"libtorch"`
	Model    string `json:"model"`
	// Precision is the type of the model's products, float32 or bfloat16.
	Precision string     `json:"precision"`
	Pictures  int        `json:"pictures"` // number of different pictures
	Width     int        `json:"width"`    // of the first picture
	Height    int        `json:"height"`
	Rows      []benchRow `json:"rows"`
}

// A benchRow is one thing that was timed.
type benchRow struct {
	What       string  `json:"what"` // "segment" or "train"
	Steps      int     `json:"steps,omitempty"`
	Batch      int     `json:"batch"`
	Runs       int     `json:"runs"`
	Seconds    float64 `json:"seconds_per_picture"` // median
	Rate       float64 `json:"pictures_per_second"`
	PeakMemory int64   `json:"peak_memory_bytes"`       // of the process; 0 if the system does not say
	Product    float64 `json:"product_flop_per_second"` // of matrix products before and after
	Products   float64 `json:"products_per_picture"`
}

func runBench(cmd *cobra.Command, o *benchOptions, args []string) error {
	if o.train < 0 || o.least <= 0 {
		return fmt.Errorf("--train %d --time %v: --train must not be negative, and --time must be positive", o.train, o.least)
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
		Device: model.Device().String(), Precision: model.Precision().String(), LibTorch: torch.Version(), Pictures: len(images),
		Model: fmt.Sprintf("%s, %.1f M parameters", o.model.weights, float64(model.Parameters())/1e6),
		Width: images[0].Bounds().Dx(), Height: images[0].Bounds().Dy(),
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
	if o.json {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		return errors.Join(stop, e.Encode(r))
	}
	return errors.Join(stop, r.write(cmd.OutOrStdout()))
}

// rows times all that is asked for, and adds the lines to r.
func (o *benchOptions) rows(cmd *cobra.Command, model *diffusioninst.Model, images []image.Image, r *benchReport) error {
	for _, steps := range o.steps {
		options := o.model.options
		options.Steps = steps
		row, err := o.row(cmd, model.Device(), 1, func(i int) error {
			_, err := model.Segment(cmd.Context(), images[i%len(images)], options)
			return err
		})
		if err != nil {
			return err
		}
		row.What, row.Steps = "segment", steps
		r.Rows = append(r.Rows, row)
	}
	if o.train == 0 {
		return nil
	}
	row, err := o.training(cmd, model)
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

// training times steps of an untrained model of the same configuration.
func (o *benchOptions) training(cmd *cobra.Command, model *diffusioninst.Model) (benchRow, error) {
	w, h, err := parseSize(o.size)
	if err != nil {
		return benchRow{}, err
	}
	trainer, err := train.New(cmd.Context(), model.Config(), nn.FromSeed(1), model.Device(), train.Options{Frozen: []string{}})
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
	row, err := o.row(cmd, model.Device(), o.train, func(int) error {
		_, err := trainer.Step(cmd.Context(), batch)
		return err
	})
	row.What = "train"
	return row, err
}

// row times do, which processes a batch of pictures.
func (o *benchOptions) row(cmd *cobra.Command, device torch.Device, batch int, do func(i int) error) (benchRow, error) {
	ctx := cmd.Context()
	before, err := matrixProduct(ctx, device)
	if err != nil {
		return benchRow{}, err
	}
	resetPeakMemory()
	times, err := measure(ctx, o.least, do)
	if err != nil {
		return benchRow{}, err
	}
	memory := peakMemory()
	after, err := matrixProduct(ctx, device)
	if err != nil {
		return benchRow{}, err
	}
	slices.Sort(times)
	each := times[len(times)/2].Seconds() / float64(batch)
	product := (before + after).Seconds() / 2
	return benchRow{
		Batch: batch, Runs: len(times), Seconds: each, Rate: 1 / each, PeakMemory: memory,
		Product: productFLOP / product, Products: each / product,
	}, nil
}

func (r benchReport) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%s in %s on %s, LibTorch %s, %d×%d pixels\n", r.Model, r.Precision, r.Device, r.LibTorch, r.Width, r.Height)
	fmt.Fprintf(w, "\tpictures/s\ttime per picture\tproducts per picture\tmatrix product\tpeak memory\truns\n")
	for _, row := range r.Rows {
		what := fmt.Sprintf("training, batch %d", row.Batch)
		if row.What == "segment" {
			what = "segment, " + counted(row.Steps, "step")
		}
		memory := "-"
		if row.PeakMemory > 0 {
			memory = fmt.Sprintf("%d MB", row.PeakMemory/1e6)
		}
		fmt.Fprintf(w, "%s\t%.3g\t%v\t%.3g\t%.0f GFLOP/s\t%s\t%d\n", what, row.Rate,
			time.Duration(row.Seconds*float64(time.Second)).Round(100*time.Microsecond), row.Products, row.Product/1e9, memory, row.Runs)
	}
	return w.Flush()
}
