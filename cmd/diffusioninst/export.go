//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func init() { modelCommands = append(modelCommands, newExportCommand) }

// exportOptions are the flags of the export command.
type exportOptions struct {
	weights, config, out string
	half                 bool
	ema                  emaFlag
	steps, proposals     int
	maskScore            float64
	scales               []float64
	classes, notes       []string
}

func newExportCommand() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export --weights FILE --out FILE.safetensors|FILE.pth",
		Short: "Rewrite a checkpoint: another format, smaller, with its configuration inside",
		Long: `Rewrite a checkpoint as safetensors or as a PyTorch state dictionary: the ending of
--out decides. The file gets the model's configuration, so that nothing else is needed
to load it, and the notes of --note; info shows both.

--half writes matrices and convolution kernels in float16; biases and norms stay as
they are.`,
		Example: `  diffusioninst export --weights model_final.pth --config r50.yaml --half --out model.safetensors
  diffusioninst export --weights best.safetensors --steps 4 --note 'license=CC0 1.0' --note 'data=my pictures' --out model.pth`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runExport(cmd, &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.weights, "weights", "", weightsUsage())
	f.StringVar(&o.config, "config", "", "Detectron2 YAML file of the model (default: the configuration in the checkpoint, or sizes read off its tensors)")
	o.ema.add(f)
	f.StringVar(&o.out, "out", "", "file to write, .safetensors or .pth")
	f.BoolVar(&o.half, "half", false, "write matrices and convolution kernels in float16")
	f.IntVar(&o.steps, "steps", 0, "the model's number of denoising steps (default: unchanged)")
	f.IntVar(&o.proposals, "proposals", 0, "the model's number of boxes denoised at once (default: unchanged)")
	f.Float64Var(&o.maskScore, "mask-score", 0, "the model's weight of masks' quality in scores, at most 0.9; negative for none (default: unchanged)")
	f.Float64SliceVar(&o.scales, "scales", nil, "`factors` of the model's own sizes in which a picture is seen, such as 1,1.5,2 (default: unchanged)")
	f.StringSliceVar(&o.classes, "classes", nil, "names of the classes in the order of their scores (default: unchanged)")
	f.StringArrayVar(&o.notes, "note", nil, "KEY=VALUE to store in the file; may be repeated")
	for _, name := range []string{"weights", "out"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

func runExport(cmd *cobra.Command, o *exportOptions) error {
	for _, name := range []string{"steps", "proposals"} {
		if n, _ := cmd.Flags().GetInt(name); cmd.Flags().Changed(name) && n < 1 {
			return fmt.Errorf("--%s %d: at least 1 is required", name, n)
		}
	}
	write := map[string]func(io.Writer, []checkpoint.Source, map[string]string) error{
		".safetensors": checkpoint.WriteSafetensors, ".pth": checkpoint.WritePyTorch,
	}[filepath.Ext(o.out)]
	if write == nil {
		return fmt.Errorf("--out %s: the name must end in .safetensors or .pth", o.out)
	}
	if err := atomicfile.CheckOutput(o.out); err != nil {
		return err
	}
	given, err := readConfig(cmd.Context(), o.config, warner(cmd))
	if err != nil {
		return err
	}
	// Loading checks that all parameters are there and have the right shapes.
	model, err := loadModel(cmd.Context(), o.weights, diffusioninst.LoadOptions{Config: given, EMA: o.ema.EMAChoice})
	if err != nil {
		return err
	}
	config := model.Config()
	sayWeights(cmd.ErrOrStderr(), model.Weights())
	if err := model.Close(); err != nil {
		return err
	}
	file, err := openCheckpoint(o.weights)
	if err != nil {
		return err
	}
	defer file.Close()
	weights, err := file.Weights(checkpoint.Average(o.ema.EMAChoice), config.Averaged)
	if err != nil {
		return err
	}
	metadata, err := o.metadata(weights, config)
	if err != nil {
		return err
	}
	var sources []checkpoint.Source
	for _, t := range weights.Tensors {
		if o.half && len(t.Shape) > 1 && slices.Contains(wide, t.DType) {
			sources = append(sources, halved(cmd.Context(), t))
		} else {
			sources = append(sources, t.Source())
		}
	}
	if err := atomicfile.Output(cmd.Context(), o.out, func(w io.Writer) error { return write(cancelWriter{cmd.Context(), w}, sources, metadata) }); err != nil {
		return err
	}
	info, err := os.Stat(o.out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d tensors, %.1f MB\n", o.out, len(sources), float64(info.Size())/1e6)
	return err
}

// metadata returns the checkpoint's metadata with the notes and the configuration, changed
// as the flags say.
func (o *exportOptions) metadata(file *checkpoint.File, c diffusioninst.Config) (map[string]string, error) {
	if o.steps > 0 {
		c.Sampling.Steps = o.steps
	}
	if o.proposals > 0 {
		c.Proposals = o.proposals
	}
	if o.maskScore != 0 {
		c.MaskScore = max(o.maskScore, 0)
	}
	if len(o.scales) > 0 {
		c.Input.Scales = &diffusioninst.Scales{Factors: o.scales}
	}
	if len(o.classes) > 0 {
		if err := coco.CheckNames(o.classes); err != nil {
			return nil, fmt.Errorf("--classes: %w", err)
		}
		if len(o.classes) != len(c.Classes) {
			return nil, fmt.Errorf("--classes has %d names, the model %d classes", len(o.classes), len(c.Classes))
		}
		c.Classes = o.classes
	}
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(file.Metadata)
	if out == nil {
		out = map[string]string{}
	}
	for _, note := range o.notes {
		key, value, ok := strings.Cut(note, "=")
		if !ok || key == "" || key == checkpoint.ConfigKey {
			return nil, fmt.Errorf("--note %s: want KEY=VALUE, with a key other than %s", note, checkpoint.ConfigKey)
		}
		out[key] = value
	}
	out[checkpoint.ConfigKey] = string(text)
	return out, nil
}

// wide are the types that --half replaces.
var wide = []checkpoint.DType{checkpoint.Float64, checkpoint.Float32, checkpoint.BFloat16}

// halved returns a source of a tensor's values in float16. Writing it fails for values
// beyond float16's range.
func halved(ctx context.Context, t *checkpoint.Tensor) checkpoint.Source {
	return checkpoint.Source{Name: t.Name, DType: checkpoint.Float16, Shape: slices.Clone(t.Shape), WriteTo: func(w io.Writer) error {
		values, err := t.Float32s()
		if err != nil {
			return err
		}
		var data []byte
		err = torch.Do(ctx, func(s *torch.Scope) error {
			x := torch.From(s, values, len(values)).ToDType(torch.Float16)
			if x.ToDType(torch.Float32).IsFinite().All().Item() == 0 {
				return fmt.Errorf("as float16 it %w", nn.ErrNotFinite)
			}
			data = x.Bytes()
			return nil
		})
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	}}
}
