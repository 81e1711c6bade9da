package diffusioninst

import (
	"fmt"
	"math"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
)

// Config describes a model: its parts, what it was trained on and how it samples.
// Start from one of the constructors, such as ResNet50COCO, and change fields. The
// zero value of every field but Backbone and Classes means the paper's, and a negative
// one means none where that makes sense.
type Config struct {
	Backbone    backbone.Builder      // required
	Decoder     decoder.Config        // its Classes, FilterParams, Coordinates and FilterState follow from the other fields
	MaskBranch  maskhead.BranchConfig // its Channels and Coordinates follow from MaskHead
	MaskHead    maskhead.Head
	Sampling    sampler.Config
	Ensemble    Ensemble
	Classes     []string // names, in the order of the scores; required
	Proposals   int      // boxes that are denoised at once: 500
	SignalScale float64  // of the boxes against the noise: 2
	// FilterRange above 0 diffuses the mask filters along with the boxes (the paper's
	// outlook): the state has 4 + MaskHead.Params() numbers, and a filter's number of this
	// size becomes SignalScale. In training their clean value is what the model itself predicts,
	// without gradients. The default is boxes alone.
	FilterRange float64
	SizePrior   SizePrior `json:",omitzero"` // of the boxes; the default is none
	// MaskScore is the weight m of masks' quality q (maskhead.Head.Quality) in scores, which are then
	// the weighted geometric means c^(1−m)·q^m with class scores c. They rank instances by their masks,
	// too, and need no training: 1/3 suits the nuclei. The default is none, as in the paper: class scores.
	MaskScore float64 `json:",omitzero"`
	NMS       float64 // overlap (IoU) from which the worse of two boxes of a class is removed: 0.5; negative for none
	Input     Input
	Quirks    Quirks
	// Int8 has the ranges of the features of convolutions for PrecisionInt8; see LoadOptions.Calibrator. The default is none.
	Int8 nn.Calibration `json:",omitempty"`
	// Averaged prefers the averaged weights of a checkpoint that has others, too; see
	// LoadOptions.EMA. It is MODEL_EMA.ENABLED of a Detectron2 file, and not saved with a model.
	Averaged bool `json:"-"`
}

// WithDefaults fills in the paper's values. Impossible ones are a *ConfigError.
func (c Config) WithDefaults() (Config, error) {
	if nilcheck.Is(c.Backbone) {
		return c, configError("a backbone is required")
	}
	if len(c.Classes) == 0 {
		return c, configError("class names are required")
	}
	if err := c.MaskHead.Check(); err != nil {
		return c, asConfigError(err)
	}
	if c.MaskHead.Channels == 0 {
		c.MaskHead.Channels = 8
	}
	c.MaskBranch.Channels, c.MaskBranch.Coordinates = c.MaskHead.Channels, c.MaskHead.Coordinates
	c.Decoder.Classes = len(c.Classes)
	c.Decoder.FilterParams, c.Decoder.Coordinates = c.MaskHead.Predicted()
	c.Decoder.FilterState = c.FilterRange > 0
	var err error
	if c.Decoder, err = c.Decoder.WithDefaults(); err != nil {
		return c, asConfigError(err)
	}
	if c.Sampling, err = c.Sampling.WithDefaults(); err != nil {
		return c, asConfigError(err)
	}
	if c.Proposals == 0 {
		c.Proposals = 500
	}
	if c.SignalScale == 0 {
		c.SignalScale = 2
	}
	if c.NMS == 0 {
		c.NMS = 0.5
	}
	c.Input = c.Input.withDefaults()
	switch {
	case c.Proposals < 1 || c.Proposals > maxProposals:
		return c, configError("%d proposals: want 1 to %d", c.Proposals, maxProposals)
	case !(c.SignalScale > 0) || math.IsInf(c.SignalScale, 0):
		return c, configError("signal scale %v: it must be positive", c.SignalScale)
	case math.IsNaN(c.FilterRange) || math.IsInf(c.FilterRange, 0):
		return c, configError("filter range %v: want a number", c.FilterRange)
	case !checkMaskScore(c.MaskScore):
		return c, configError("mask score %v: it is a weight of at most %v", c.MaskScore, mostMaskScore)
	case !(c.NMS <= 1):
		return c, configError("NMS threshold %v: it is an overlap of at most 1", c.NMS)
	}
	if c.Quirks == Reference && c.Ensemble.LastOnly {
		return c, configError("the last step alone in the ensemble (LastOnly), with the quirks of the reference, whose last step does not count")
	}
	for _, check := range []func() error{c.checkSizes, c.checkRanges, c.Ensemble.check, c.SizePrior.check, c.Input.check, c.Quirks.check} {
		if err := check(); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c Config) checkRanges() error {
	if err := c.Int8.Check(); err != nil {
		return asConfigError(err)
	}
	return nil
}

// ConfigError says that a configuration is impossible.
type ConfigError struct {
	Reason string
	Err    error // cause; may be nil
}

func (e *ConfigError) Error() string { return "diffusioninst: " + e.Detail() }

// Detail returns what Error does without the name of the package, for an error around it.
func (e *ConfigError) Detail() string { return "config: " + e.Reason }

// Unwrap returns the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

func configError(format string, args ...any) error {
	return &ConfigError{Reason: fmt.Sprintf(format, args...)}
}

// asConfigError wraps what a part of the configuration says.
func asConfigError(err error) error { return &ConfigError{err.Error(), err} }

// ResNet50COCO returns the paper's model with a ResNet-50 for COCO's 80 classes.
func ResNet50COCO() Config { return resNet(50, coco.COCOClasses()) }

// ResNet101COCO returns the paper's model with a ResNet-101 for COCO's 80 classes.
func ResNet101COCO() Config { return resNet(101, coco.COCOClasses()) }

// ResNet50LVIS returns the paper's model with a ResNet-50 for LVIS's 1203 classes.
func ResNet50LVIS() Config { return resNet(50, coco.LVISClasses()) }

// ResNet101LVIS returns the paper's model with a ResNet-101 for LVIS's 1203 classes.
func ResNet101LVIS() Config { return resNet(101, coco.LVISClasses()) }

func resNet(depth int, classes []coco.Category) Config {
	return Config{Backbone: backbone.ResNetFPN{ResNet: backbone.ResNet{Depth: depth}}, Classes: names(classes)}
}

func names(classes []coco.Category) []string {
	out := make([]string, len(classes))
	for i, c := range classes {
		out[i] = c.Name
	}
	return out
}
