package diffusioninst

import (
	"fmt"
	"slices"
	"strings"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
)

// LoadConfig reads a Detectron2 YAML file of the official project, with the files
// that it builds on (_BASE_), and returns the configuration and warnings. Keys that
// matter and are unknown, or have values that cannot be honoured, are errors, all
// reported at once; settings of parts that DiffusionInst does not have are warnings.
//
// A data set named lvis_… or coco_… with as many classes gives the class names. An
// INPUT.MIN_SIZE_TEST of 0 keeps a picture's size (Input.Scale 1), whatever
// MAX_SIZE_TEST says, as in Detectron2. A Swin of an unknown size is a warning and
// leaves Config.Backbone nil: Load then reads it off the checkpoint.
func LoadConfig(path string) (Config, []string, error) {
	f, err := OpenConfig(path)
	if err != nil {
		return Config{}, nil, err
	}
	return f.Config, f.Warnings, nil
}

// A ConfigFile is a Detectron2 YAML file that was read, for a program that needs both the
// model and the training it describes; train.NewRecipe takes it.
type ConfigFile struct {
	Path     string
	Config   Config   // the model; may be changed
	Warnings []string // as LoadConfig returns them

	settings *detectron2.Config
}

// OpenConfig reads a file as LoadConfig does.
func OpenConfig(path string) (*ConfigFile, error) {
	d, notes, err := detectron2.Load(path)
	if err != nil {
		return nil, err
	}
	f := &ConfigFile{Path: path, Warnings: make([]string, len(notes)), settings: d}
	for i, n := range notes {
		f.Warnings[i] = n.String()
	}
	if f.Config, err = fromDetectron2(d); err != nil {
		return nil, err
	}
	if f.Config.Backbone == nil {
		f.Warnings = append(f.Warnings, fmt.Sprintf("MODEL.SWIN.SIZE: %q is not a known size: the backbone is read off the checkpoint", d.Model.Swin.Size))
	}
	return f, nil
}

// Sys returns the settings of the file as they were read, for package train. Their type is
// internal to the module.
func (f *ConfigFile) Sys() any { return f.settings }

func fromDetectron2(d *detectron2.Config) (Config, error) {
	m, head := d.Model, d.Model.DiffusionInst
	if !head.UseFocal && !head.UseFedLoss {
		return Config{}, configError("USE_FOCAL and USE_FED_LOSS are both off: a softmax over the classes and a background is not supported")
	}
	c := Config{
		Decoder: decoder.Config{
			Hidden: head.HiddenDim, Dynamic: head.DimDynamic, FeedForward: head.DimFeedForward, Heads: head.NHeads, Stages: head.NumHeads,
			ClassLayers: head.NumCls, BoxLayers: head.NumReg, Prior: head.PriorProb,
			Bins: m.ROIBoxHead.PoolerResolution, Samples: m.ROIBoxHead.PoolerSamplingRatio, SelfConditioning: head.SelfConditioning,
		},
		Classes:     detectron2Classes(d),
		Proposals:   head.NumProposals,
		SignalScale: head.SNRScale,
		Averaged:    d.ModelEMA.Enabled,
		Input: Input{
			Short: d.Input.MinSizeTest, Longest: d.Input.MaxSizeTest,
			Mean: m.PixelMean, Std: m.PixelStd, BGR: d.Input.Format == "BGR", Tile: d.Input.TileTest,
			Normalize: normalization(d.Input.Normalize),
		},
	}
	if c.Input.Short == 0 {
		c.Input.Scale, c.Input.Longest = 1, 0
	}
	c.Sampling.Steps = head.SampleStep
	if head.MaskUpsample > 1 { // the default is not written to checkpoints, which older versions read
		c.MaskBranch.Upsample = head.MaskUpsample
	}
	c.MaskHead.Coordinates = head.RelCoords
	c.FilterRange, c.MaskScore = head.FilterRange, head.MaskScore
	if p := head.SizePrior; len(p) == 2 {
		c.SizePrior = SizePrior{Mean: p[0], Std: p[1]}
	}
	if !head.UseNMS {
		c.NMS = -1
	}
	switch m.Backbone.Name {
	case detectron2.ResNetFPN:
		r := m.ResNets
		norm := nn.BatchNorm
		if r.Norm == "FrozenBN" {
			norm = nn.FrozenNorm
		}
		c.Backbone = backbone.ResNetFPN{Channels: m.FPN.OutChannels, ResNet: backbone.ResNet{
			Depth: r.Depth, StemChannels: r.StemOutChannels, Res2Channels: r.Res2OutChannels, Width: r.WidthPerGroup, StrideIn1x1: r.StrideIn1x1, Norm: norm,
		}}
	case detectron2.SwinFPN:
		if swin, err := backbone.SwinOfSize(m.Swin.Size); err == nil {
			c.Backbone = backbone.SwinFPN{Swin: swin, Channels: m.FPN.OutChannels}
		}
	default:
		return c, configError("backbone %s", m.Backbone.Name)
	}
	return c, nil
}

// normalization leaves the default out, so that it is not written to checkpoints that older
// versions read.
func normalization(n string) picture.Normalize {
	if n == string(picture.Auto) {
		return ""
	}
	return picture.Normalize(n)
}

// detectron2Classes returns the class names of the data sets if their number fits.
func detectron2Classes(d *detectron2.Config) []string {
	n := d.Model.DiffusionInst.NumClasses
	of := func(prefix string) bool {
		return slices.ContainsFunc(append(slices.Clone(d.Datasets.Test), d.Datasets.Train...), func(s string) bool { return strings.HasPrefix(s, prefix) })
	}
	for prefix, classes := range map[string][]coco.Category{"coco_": coco.COCOClasses(), "lvis_": coco.LVISClasses()} {
		if of(prefix) && len(classes) == n {
			return names(classes)
		}
	}
	return classNames(n)
}
