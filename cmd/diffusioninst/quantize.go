//go:build cgo

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
)

func init() { modelCommands = append(modelCommands, newQuantizeCommand) }

// quantizeOptions are the flags of the quantize command.
type quantizeOptions struct {
	rewriting
	model modelFlags
}

func newQuantizeCommand() *cobra.Command {
	var o quantizeOptions
	cmd := &cobra.Command{
		Use:   "quantize --weights FILE --out FILE.safetensors|FILE.pth PICTURE|FOLDER|GLOB...",
		Short: "Prepare a checkpoint for --precision int8",
		Long: `Prepare a checkpoint for --precision int8: convolutions of 8-bit numbers, which processors
with AVX512-VNNI multiply faster than float32. The model segments the pictures in
float32, and the ranges of its features are written to --out beside the unchanged
weights, so that the file serves every precision. Features beyond these ranges are
clipped later: give some dozens of pictures of every kind that the model will see, such
as some of its training set, in the --scale, --scales, --tile and --norm that it will be
used with (default: the model's own). What int8 costs in accuracy, test --precision int8 measures.`,
		Example: `  diffusioninst quantize --weights best.safetensors --out int8.safetensors train/images
  diffusioninst segment --weights int8.safetensors --precision int8 pictures/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runQuantize(cmd, &o, args) },
	}
	o.model.addSeeing(cmd)
	o.model.addScale(cmd)
	o.model.addScales(cmd)
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "file to write, .safetensors or .pth")
	f.StringArrayVar(&o.notes, "note", nil, "KEY=VALUE to store in the file; may be repeated")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

func runQuantize(cmd *cobra.Command, o *quantizeOptions, args []string) error {
	if o.model.weights == untrained {
		return errors.New("--weights untrained: there is no file to write anew")
	}
	if err := errors.Join(checkRewritten(o.out), checkNotes(o.notes)); err != nil {
		return err
	}
	paths, err := await(cmd.Context(), func() ([]string, error) { return picture.Find(args) })
	if err != nil {
		return err
	}
	o.model.calibrator = &nn.Calibrator{}
	o.model.options.Steps, o.model.options.Score = 1, 1 // what is found does not matter
	before := fileStamp(o.model.weights)
	model, err := o.model.load(cmd)
	if err != nil {
		return err
	}
	defer model.Close()
	segmented, err := o.segment(cmd, model, paths)
	if err != nil {
		return err
	}
	if fileStamp(o.model.weights) != before {
		return fmt.Errorf("%s was replaced meanwhile: the ranges are those of what it was", o.model.weights)
	}
	if segmented < 8 {
		warner(cmd)("the ranges are those of %s: what is beyond them in others is clipped", counted(segmented, "picture"))
	}
	config := model.Config()
	config.Int8 = o.model.calibrator.Calibration()
	o.weights, o.ema = o.model.weights, o.model.ema
	o.notes = append([]string{"calibration=" + o.calibration(cmd, segmented)}, o.notes...)
	said, err := o.rewrite(cmd.Context(), config)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s, ranges of %s from %s\n", said, counted(len(config.Int8), "convolution"), counted(segmented, "picture"))
	return err
}

// calibration says what the ranges come from, for info.
func (o *quantizeOptions) calibration(cmd *cobra.Command, segmented int) string {
	text := counted(segmented, "picture")
	for _, name := range []string{"scale", "scales", "tile", "norm"} {
		if f := cmd.Flags().Lookup(name); f.Changed {
			text += fmt.Sprintf(", --%s %s", name, strings.Trim(f.Value.String(), "[]"))
		}
	}
	return text
}

// segment shows the model the pictures, and returns how many it has seen. One that cannot be read is warned of.
func (o *quantizeOptions) segment(cmd *cobra.Command, model *diffusioninst.Model, paths []string) (n int, err error) {
	warn, read := warner(cmd), picture.Options{Normalize: o.model.normalize(model.Config())}
	bar := progress(cmd.ErrOrStderr(), len(paths))
	defer bar.Exit()
	for _, path := range paths {
		img, err := await(cmd.Context(), func() (*picture.Picture, error) { return picture.Open(path, read) })
		if err == nil {
			_, err = model.Segment(cmd.Context(), img, o.model.options)
		}
		if cmd.Context().Err() != nil {
			return n, err
		}
		if err != nil {
			warn("%s: left out: %v", path, err)
		} else {
			n++
		}
		_ = bar.Add(1)
	}
	if n == 0 {
		return 0, fmt.Errorf("none of %s could be segmented", counted(len(paths), "picture"))
	}
	return n, nil
}
