//go:build cgo

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
)

func init() { modelCommands = append(modelCommands, newExportCommand) }

// exportOptions are the flags of the export command.
type exportOptions struct {
	rewriting
	config           string
	set              func(name string) bool // whether the user gave the flag
	steps, proposals int
	maskScore        float64
	consensus        float64
	scales           []float64
	classes          []string
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.set = cmd.Flags().Changed
			return runExport(cmd, &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.weights, "weights", "", weightsUsage())
	f.StringVar(&o.config, "config", "", "Detectron2 YAML file of the model (default: the configuration in the checkpoint, or sizes read off its tensors)")
	o.ema.add(f)
	f.StringVar(&o.out, "out", "", "file to write, .safetensors or .pth")
	f.BoolVar(&o.half, "half", false, "write matrices and convolution kernels in float16")
	f.IntVar(&o.steps, "steps", 0, "the model's number of denoising steps (default: unchanged)")
	f.IntVar(&o.proposals, "proposals", 0, "the model's number of boxes denoised at once (default: unchanged)")
	f.Float64Var(&o.maskScore, "mask-score", 0, "the model's weight of masks' quality in scores, at most 0.9; 0 or negative for none (default: unchanged)")
	f.Float64Var(&o.consensus, "consensus", 0, "the model's overlap of masks (IoU) from which what several steps find is one object, whose score is the mean of all; 0 or negative for none (default: unchanged)")
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
	if err := errors.Join(checkRewritten(o.out), checkNotes(o.notes)); err != nil {
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
	own := config
	if config, err = o.changed(own); err != nil {
		return err
	}
	if !sameResults(own, config) {
		o.outdated = accuracyNote
	}
	if parts := ownParts(config); filepath.Ext(o.out) == ".pth" && len(parts) > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: the official code does not know %s, which the model has: there it finds nothing of use, or does not load\n", strings.Join(parts, ", "))
	}
	said, err := o.rewrite(cmd.Context(), config)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
	return err
}

// accuracyNote is the key of the note that says how good a model is.
const accuracyNote = "accuracy"

// sameResults reports whether two configurations of the same weights find the same.
func sameResults(a, b diffusioninst.Config) bool {
	return a.Sampling.Steps == b.Sampling.Steps && a.Proposals == b.Proposals && a.MaskScore == b.MaskScore && a.Ensemble == b.Ensemble && reflect.DeepEqual(a.Input.Scales, b.Input.Scales)
}

// ownParts are the keys of what the network has and the official code lacks.
func ownParts(c diffusioninst.Config) []string {
	var out []string
	for _, part := range []struct {
		key string
		has bool
	}{
		{"MASK_UPSAMPLE", c.MaskBranch.Upsample > 1}, {"REL_COORDS", c.MaskHead.Coordinates}, {"SELF_CONDITIONING", c.Decoder.SelfConditioning},
		{"SIZE_PRIOR", c.SizePrior != diffusioninst.SizePrior{}}, {"FILTER_RANGE", c.FilterRange > 0},
	} {
		if part.has {
			out = append(out, part.key)
		}
	}
	return out
}

// changed returns the configuration as the flags say.
func (o *exportOptions) changed(c diffusioninst.Config) (diffusioninst.Config, error) {
	if o.steps > 0 {
		c.Sampling.Steps = o.steps
	}
	if o.proposals > 0 {
		c.Proposals = o.proposals
	}
	if o.set("mask-score") {
		c.MaskScore = max(o.maskScore, 0)
	}
	if o.set("consensus") {
		c.Ensemble.Consensus = max(o.consensus, 0)
	}
	if len(o.scales) > 0 {
		c.Input.Scales = &diffusioninst.Scales{Factors: o.scales}
	}
	if len(o.classes) > 0 {
		if err := coco.CheckNames(o.classes); err != nil {
			return c, fmt.Errorf("--classes: %w", err)
		}
		if len(o.classes) != len(c.Classes) {
			return c, fmt.Errorf("--classes has %d names, the model %d classes", len(o.classes), len(c.Classes))
		}
		c.Classes = o.classes
	}
	return c.WithDefaults()
}
