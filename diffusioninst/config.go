package diffusioninst

import (
	"fmt"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/sampler"
)

// Config describes a model: its parts, what it was trained on and how it samples.
// Start from one of the constructors, such as ResNet50COCO, and change fields. The
// zero value of every field but Backbone and Classes means the paper's.
type Config struct {
	Backbone    backbone.Builder      // required
	Decoder     decoder.Config        // its Classes and FilterParams follow from the other fields
	MaskBranch  maskhead.BranchConfig // its Channels follow from MaskHead
	MaskHead    maskhead.Head
	Sampling    sampler.Config
	Ensemble    Ensemble
	Classes     []string // names, in the order of the scores; required
	Proposals   int      // boxes that are denoised at once: 500
	SignalScale float64  // of the boxes against the noise: 2
	// FilterRange above 0 diffuses the mask filters along with the boxes (the paper's
	// outlook): the state has 4 + MaskHead.Params() numbers, and a filter's number of this
	// size becomes SignalScale. Such a model needs training of its own. 0: boxes alone.
	FilterRange float64
	NMS         float64 // overlap (IoU) at which the worse of two boxes of a class goes: 0.5; negative for none
	Input       Input
	Quirks      Quirks
}

// Input says how a picture becomes the network's input. The zero value of a field
// means the paper's.
type Input struct {
	Short int // pixels of the shorter side: 800
	// Scale above 0 multiplies a picture's sides in place of Short, for a model whose
	// objects have a size in pixels, not in parts of the picture: 1 keeps the size.
	// It excludes Short.
	Scale   float64
	Longest int // at most, pixels of the longer side: 1333; no limit with Scale
	// Tile above 0 finds the instances of a larger picture in overlapping squares of so many
	// pixels (after resizing) a side, one after the other: for a model that has learned
	// from parts of pictures, or where memory is short. It needs Scale. Objects larger
	// than Overlap, a quarter of Tile unless set, may be cut. Segment and SegmentBatch
	// do this; traces and augmented views show a picture in one piece.
	Tile    int
	Overlap int
	Mean    [3]float64 // of red, green and blue, 0 to 255: ImageNet's
	Std     [3]float64 // of red, green and blue: ImageNet's
	BGR     bool       // the network wants blue first; Mean and Std are then in that order
}

// Quirks says whether oddities of the reference implementation are reproduced.
type Quirks int

const (
	// NoQuirks is what one would expect: the last step takes part in the ensemble,
	// masks reach to the edge of their boxes, only detections above a score count.
	NoQuirks Quirks = iota
	// Reference reproduces the official PyTorch code, for comparing results: the last
	// of several steps does not take part in the ensemble, box edges are cut to whole
	// numbers, the state is float64 after the first step, and there is no least
	// score and no limit on the number of instances.
	Reference
)

var (
	imageNetMean = [3]float64{123.675, 116.28, 103.53}
	imageNetStd  = [3]float64{58.395, 57.12, 57.375}
)

// WithDefaults fills in the paper's values and refuses impossible ones.
func (c Config) WithDefaults() (Config, error) {
	if c.Backbone == nil {
		return c, configError("a backbone is required")
	}
	if len(c.Classes) == 0 {
		return c, configError("class names are required")
	}
	if err := c.MaskHead.Check(); err != nil {
		return c, err
	}
	if c.MaskHead.Channels == 0 {
		c.MaskHead.Channels = 8
	}
	c.MaskBranch.Channels = c.MaskHead.Channels
	c.Decoder.Classes = len(c.Classes)
	c.Decoder.FilterParams = c.MaskHead.Params()
	c.Decoder.FilterState = c.FilterRange > 0
	var err error
	if c.Decoder, err = c.Decoder.WithDefaults(); err != nil {
		return c, err
	}
	c.Sampling.Float64 = c.Sampling.Float64 || c.Quirks == Reference
	if c.Sampling, err = c.Sampling.WithDefaults(); err != nil {
		return c, err
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
	case c.Proposals < 1:
		return c, configError("%d proposals: at least one is required", c.Proposals)
	case !(c.SignalScale > 0):
		return c, configError("signal scale %v: it must be positive", c.SignalScale)
	case !(c.FilterRange >= 0):
		return c, configError("filter range %v: it must not be negative", c.FilterRange)
	case c.NMS > 1:
		return c, configError("NMS threshold %v: it is an overlap of at most 1", c.NMS)
	}
	if err := c.Ensemble.check(); err != nil {
		return c, err
	}
	return c, c.Input.check()
}

func (in Input) withDefaults() Input {
	if in.Scale == 0 {
		if in.Short == 0 {
			in.Short = 800
		}
		if in.Longest == 0 {
			in.Longest = max(1333, in.Short)
		}
	}
	if in.Mean == [3]float64{} {
		in.Mean = imageNetMean
	}
	if in.Std == [3]float64{} {
		in.Std = imageNetStd
	}
	return in
}

func (in Input) check() error {
	switch {
	case in.Scale != 0 && in.Short != 0:
		return configError("input scale %v and short side %d: one of them at most", in.Scale, in.Short)
	case in.Scale != 0 && !(in.Scale > 0 && in.Scale <= maxScale):
		return configError("input scale %v: want above 0 to %d", in.Scale, maxScale)
	case in.Scale != 0 && in.Longest < 0:
		return configError("input side %d (longest): it must not be negative", in.Longest)
	case in.Tile < 0 || in.Overlap < 0 || in.Tile > 0 && (in.Tile < 32 || in.Overlap >= in.Tile):
		return configError("input tiles of %d pixels that overlap by %d: want at least 32, and an overlap below that", in.Tile, in.Overlap)
	case in.Tile > 0 && in.Scale == 0:
		return configError("input tiles need a Scale: parts of a picture cannot each have the same short side")
	case in.Scale == 0 && (in.Short < 1 || in.Longest < in.Short):
		return configError("input sides %d (short) and %d (longest)", in.Short, in.Longest)
	}
	for _, s := range in.Std {
		if !(s > 0) {
			return configError("input standard deviations %v: they must be positive", in.Std)
		}
	}
	return nil
}

// maxScale bounds what a picture grows to.
const maxScale = 16

// ConfigError says that a configuration is impossible.
type ConfigError struct{ Reason string }

func (e *ConfigError) Error() string { return "diffusioninst: config: " + e.Reason }

func configError(format string, args ...any) error { return &ConfigError{fmt.Sprintf(format, args...)} }

// ResNet50COCO is the paper's model with a ResNet-50 for COCO's 80 classes.
func ResNet50COCO() Config { return resNet(50, coco.COCOClasses()) }

// ResNet101COCO is the paper's model with a ResNet-101 for COCO's 80 classes.
func ResNet101COCO() Config { return resNet(101, coco.COCOClasses()) }

// ResNet50LVIS is the paper's model with a ResNet-50 for LVIS's 1203 classes.
func ResNet50LVIS() Config { return resNet(50, coco.LVISClasses()) }

// ResNet101LVIS is the paper's model with a ResNet-101 for LVIS's 1203 classes.
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
