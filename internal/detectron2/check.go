package detectron2

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// rule is a condition on a value.
type rule struct {
	key  string
	ok   bool
	want string
}

// What a file may ask for. No network has a tenth of it; a few digits too many would
// otherwise ask for more memory than there is.
const (
	maxChannels = 1 << 14
	maxWidth    = 1 << 18 // of a feed-forward network
	maxLayers   = 100
	maxBins     = 64
	maxSide     = 1 << 16 // of pictures in pixels
	maxFactor   = 1024    // of the size of pictures
)

// check returns the settings of c that this module does not support.
func check(c *Config, tree *section) []Problem {
	rules := slices.Concat(modelRules(c), decoderRules(c), inputRules(c), solverRules(c))
	var problems []Problem
	for _, r := range rules {
		if r.ok {
			continue
		}
		if v := tree.find(r.key); v != nil {
			problems = append(problems, Problem{v.file, v.line, r.key, fmt.Sprintf("%s is not supported: want %s", v, r.want)})
			continue
		}
		v := defaults().find(r.key)
		problems = append(problems, Problem{Key: r.key, Message: fmt.Sprintf("no file sets it, and its default %s is not supported: want %s", v, r.want)})
	}
	return problems
}

// doubts returns settings that contradict others and have no effect.
func doubts(c *Config, tree *section) []Warning {
	const key = "MODEL.ROI_HEADS.NUM_CLASSES"
	v := tree.find(key)
	got, want := c.Model.ROIHeads.NumClasses, c.Model.DiffusionInst.NumClasses
	if v == nil || got == want || same(v, defaults().find(key)) {
		return nil
	}
	return []Warning{{v.file, v.line, key, fmt.Sprintf("%d has no effect: MODEL.DiffusionInst.NUM_CLASSES is %d", got, want)}}
}

func modelRules(c *Config) []rule {
	m := &c.Model
	rules := []rule{
		{"VERSION", c.Version == 2, "2"},
		{"MODEL.META_ARCHITECTURE", m.MetaArchitecture == "DiffusionInst", `"DiffusionInst"`},
		{"MODEL.KEYPOINT_ON", !m.KeypointOn, "False"},
		{"MODEL.LOAD_PROPOSALS", !m.LoadProposals, "False"},
		{"MODEL.PIXEL_MEAN", !slices.ContainsFunc(m.PixelMean[:], func(x float64) bool { return !finite(x) }), "finite numbers"},
		{"MODEL.PIXEL_STD", !slices.ContainsFunc(m.PixelStd[:], func(x float64) bool { return !finite(x) || x <= 0 }), "numbers above 0"},
		oneOf("MODEL.BACKBONE.NAME", m.Backbone.Name, ResNetFPN, SwinFPN),
		{"MODEL.BACKBONE.FREEZE_AT", m.Backbone.FreezeAt >= 0 && m.Backbone.FreezeAt <= 5, "0 to 5"},
		{"MODEL.FPN.NORM", m.FPN.Norm == "", `""`},
		{"MODEL.FPN.FUSE_TYPE", m.FPN.FuseType == "sum", `"sum"`},
		between("MODEL.FPN.OUT_CHANNELS", m.FPN.OutChannels, 1, maxChannels),
		exactly("MODEL.ROI_HEADS.IN_FEATURES", m.ROIHeads.InFeatures, "p2", "p3", "p4", "p5"),
		{"MODEL.ROI_BOX_HEAD.POOLER_TYPE", m.ROIBoxHead.PoolerType == "ROIAlignV2", `"ROIAlignV2"`},
		between("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", m.ROIBoxHead.PoolerResolution, 1, maxBins),
		between("MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", m.ROIBoxHead.PoolerSamplingRatio, 1, maxBins),
	}
	if m.Backbone.Name == SwinFPN {
		return append(rules, swinRules(m)...)
	}
	return append(rules, resNetRules(m)...)
}

func resNetRules(m *Model) []rule {
	r := &m.ResNets
	shallow := r.Depth == 18 || r.Depth == 34
	return []rule{
		{"MODEL.RESNETS.DEPTH", slices.Contains([]int{18, 34, 50, 101, 152}, r.Depth), "18, 34, 50, 101 or 152"},
		{"MODEL.RESNETS.NUM_GROUPS", r.NumGroups == 1, "1 (ResNeXt is not supported)"},
		{"MODEL.RESNETS.RES5_DILATION", r.Res5Dilation == 1, "1"},
		{"MODEL.RESNETS.DEFORM_ON_PER_STAGE", !slices.Contains(r.DeformOnStage, true), "False everywhere (deformable convolutions are not supported)"},
		oneOf("MODEL.RESNETS.NORM", r.Norm, "FrozenBN", "BN", "SyncBN"),
		between("MODEL.RESNETS.WIDTH_PER_GROUP", r.WidthPerGroup, 1, maxChannels),
		between("MODEL.RESNETS.STEM_OUT_CHANNELS", r.StemOutChannels, 1, maxChannels),
		between("MODEL.RESNETS.RES2_OUT_CHANNELS", r.Res2OutChannels, 1, maxChannels),
		{"MODEL.RESNETS.RES2_OUT_CHANNELS", !shallow || r.Res2OutChannels == 64, "64 for depths 18 and 34"},
		exactly("MODEL.RESNETS.OUT_FEATURES", r.OutFeatures, "res2", "res3", "res4", "res5"),
		exactly("MODEL.FPN.IN_FEATURES", m.FPN.InFeatures, "res2", "res3", "res4", "res5"),
	}
}

func swinRules(m *Model) []rule {
	return []rule{
		{"MODEL.SWIN.OUT_FEATURES", slices.Equal(m.Swin.OutFeatures, []int{0, 1, 2, 3}), "[0, 1, 2, 3]"},
		exactly("MODEL.FPN.IN_FEATURES", m.FPN.InFeatures, "swin0", "swin1", "swin2", "swin3"),
	}
}

func decoderRules(c *Config) []rule {
	const at = "MODEL.DiffusionInst."
	d := &c.Model.DiffusionInst
	return []rule{
		between(at+"NUM_CLASSES", d.NumClasses, 1, 1_000_000),
		between(at+"NUM_PROPOSALS", d.NumProposals, 1, 20_000),
		{at + "HIDDEN_DIM", d.HiddenDim >= 4 && d.HiddenDim <= maxChannels && d.HiddenDim%2 == 0, fmt.Sprintf("an even number from 4 to %d", maxChannels)},
		{at + "HIDDEN_DIM", d.HiddenDim == c.Model.FPN.OutChannels, fmt.Sprintf("MODEL.FPN.OUT_CHANNELS, which is %d", c.Model.FPN.OutChannels)},
		{at + "NHEADS", d.NHeads >= 1 && d.HiddenDim%max(d.NHeads, 1) == 0, "a divisor of HIDDEN_DIM"},
		{at + "ACTIVATION", d.Activation == "relu", `"relu"`},
		{at + "NUM_DYNAMIC", d.NumDynamic == 2, "2"},
		between(at+"DIM_DYNAMIC", d.DimDynamic, 1, maxChannels),
		between(at+"DIM_FEEDFORWARD", d.DimFeedForward, 1, maxWidth),
		between(at+"NUM_CLS", d.NumCls, 1, maxLayers),
		between(at+"NUM_REG", d.NumReg, 1, maxLayers),
		between(at+"NUM_HEADS", d.NumHeads, 1, maxLayers),
		{at + "DROPOUT", d.Dropout >= 0 && d.Dropout < 1, "at least 0 and below 1"},
		notNegative(at+"CLASS_WEIGHT", d.ClassWeight),
		notNegative(at+"GIOU_WEIGHT", d.GIoUWeight),
		notNegative(at+"L1_WEIGHT", d.L1Weight),
		notNegative(at+"NO_OBJECT_WEIGHT", d.NoObjectWeight),
		{at + "ALPHA", d.Alpha >= 0 && d.Alpha <= 1, "0 to 1"},
		notNegative(at+"GAMMA", d.Gamma),
		{at + "PRIOR_PROB", d.PriorProb > 0 && d.PriorProb < 1, "above 0 and below 1"},
		between(at+"OTA_K", d.OTAK, 1, 20_000),
		{at + "SNR_SCALE", finite(d.SNRScale) && d.SNRScale > 0, "a number above 0"},
		notNegative(at+"FILTER_RANGE", d.FilterRange),
		{at + "SIZE_PRIOR", len(d.SizePrior) == 0 || len(d.SizePrior) == 2 && d.SizePrior[0] > 0 && d.SizePrior[0] < 1 && d.SizePrior[1] > 0 && d.SizePrior[1] <= 1,
			"nothing, or a mean between 0 and 1 and a standard deviation above 0"},
		part(at+"OWN_STEPS", d.OwnSteps, 1),
		part(at+"MASK_SCORE", d.MaskScore, 0.9),
		oneOf(at+"SCORE_TARGET", d.ScoreTarget, "one", "mask", "box"),
		{at + "MASK_UPSAMPLE", slices.Contains([]int{1, 2, 4}, d.MaskUpsample), "1, 2 or 4"},
		{at + "SAMPLE_STEP", d.SampleStep >= 1 && d.SampleStep <= 1000, "1 to 1000"},
	}
}

func inputRules(c *Config) []rule {
	in, aug := &c.Input, &c.Test.Aug
	positive := func(sizes []int) bool {
		return len(sizes) > 0 && !slices.ContainsFunc(sizes, func(n int) bool { return n < 1 || n > maxSide })
	}
	h, w := in.Crop.Size[0], in.Crop.Size[1]
	crop := rule{"INPUT.CROP.SIZE", h >= 1 && w >= 1 && h <= maxSide && w <= maxSide, fmt.Sprintf("1 to %d pixels for this TYPE", maxSide)}
	if strings.HasPrefix(in.Crop.Type, "relative") {
		crop = rule{"INPUT.CROP.SIZE", h > 0 && w > 0 && h <= 1 && w <= 1, "parts of the picture, above 0 and at most 1, for this TYPE"}
	}
	return []rule{
		oneOf("INPUT.FORMAT", in.Format, "RGB", "BGR"),
		oneOf("INPUT.MASK_FORMAT", in.MaskFormat, "polygon", "bitmask"),
		between("INPUT.MIN_SIZE_TEST", in.MinSizeTest, 0, maxSide),
		between("INPUT.MAX_SIZE_TEST", in.MaxSizeTest, 1, math.MaxInt32),
		{"INPUT.MIN_SIZE_TRAIN", positive(in.MinSizeTrain), fmt.Sprintf("at least one size, all from 1 to %d", maxSide)},
		{"INPUT.MIN_SIZE_TRAIN", in.MinSizeSampling != "range" || len(in.MinSizeTrain) == 2, "two sizes for MIN_SIZE_TRAIN_SAMPLING range"},
		oneOf("INPUT.MIN_SIZE_TRAIN_SAMPLING", in.MinSizeSampling, "choice", "range"),
		between("INPUT.MAX_SIZE_TRAIN", in.MaxSizeTrain, 1, math.MaxInt32),
		oneOf("INPUT.RANDOM_FLIP", in.RandomFlip, "horizontal", "vertical", "none", "both"),
		oneOf("INPUT.CROP.TYPE", in.Crop.Type, "relative", "relative_range", "absolute", "absolute_range"),
		crop,
		{"INPUT.TILE_TEST", in.TileTest == 0 || in.TileTest >= 32 && in.MinSizeTest == 0, "0, or at least 32 with MIN_SIZE_TEST 0"},
		{"INPUT.SCALE_RANGE", len(in.ScaleRange) == 0 || len(in.ScaleRange) == 2 && factors(in.ScaleRange[0], in.ScaleRange[1]), fmt.Sprintf("nothing, or two factors above 0 and at most %d, the smaller first", maxFactor)},
		between("INPUT.LARGE_SCALE_JITTER.SIZE", in.LargeScaleJitter.Size, 32, maxSide),
		{"INPUT.LARGE_SCALE_JITTER.RANGE", factors(in.LargeScaleJitter.Range[0], in.LargeScaleJitter.Range[1]), fmt.Sprintf("two factors above 0 and at most %d, the smaller first", maxFactor)},
		part("INPUT.COPY_PASTE", in.CopyPaste, 1),
		part("INPUT.COLOR_JITTER.BRIGHTNESS", in.ColorJitter.Brightness, 1),
		part("INPUT.COLOR_JITTER.CONTRAST", in.ColorJitter.Contrast, 1),
		part("INPUT.COLOR_JITTER.SATURATION", in.ColorJitter.Saturation, 1),
		part("INPUT.COLOR_JITTER.HUE", in.ColorJitter.Hue, 0.5),
		between("TEST.EVAL_PERIOD", c.Test.EvalPeriod, 0, math.MaxInt32),
		between("TEST.DETECTIONS_PER_IMAGE", c.Test.DetectionsPerImage, 1, math.MaxInt32),
		between("TEST.AUG.MAX_SIZE", aug.MaxSize, 1, math.MaxInt32),
		{"TEST.AUG.MIN_SIZES", positive(aug.MinSizes), fmt.Sprintf("at least one size, all from 1 to %d", maxSide)},
		{"TEST.AUG.SCALE_RANGES", !aug.Enabled || !aug.ScaleFilter || len(aug.ScaleRanges) == len(aug.MinSizes),
			fmt.Sprintf("as many as MIN_SIZES, which are %d", len(aug.MinSizes))},
	}
}

func solverRules(c *Config) []rule {
	s := &c.Solver
	return []rule{
		oneOf("SOLVER.OPTIMIZER", s.Optimizer, "ADAMW", "SGD"),
		oneOf("SOLVER.LR_SCHEDULER_NAME", s.LRScheduler, "WarmupMultiStepLR", "WarmupCosineLR", "WarmupStepWithFixedGammaLR"),
		oneOf("SOLVER.WARMUP_METHOD", s.WarmupMethod, "linear", "constant"),
		oneOf("SOLVER.CLIP_GRADIENTS.CLIP_TYPE", s.ClipGradients.ClipType, "value", "norm", "full_model"),
		{"SOLVER.CLIP_GRADIENTS.CLIP_VALUE", s.ClipGradients.ClipValue > 0, "a number above 0"},
		{"SOLVER.CLIP_GRADIENTS.NORM_TYPE", s.ClipGradients.NormType > 0, "a number above 0"},
		between("SOLVER.IMS_PER_BATCH", s.ImsPerBatch, 1, maxSide),
		between("SOLVER.MAX_ITER", s.MaxIter, 0, math.MaxInt32),
		between("SOLVER.WARMUP_ITERS", s.WarmupIters, 0, math.MaxInt32),
		{"SOLVER.MOMENTUM", s.Momentum >= 0 && s.Momentum < 1, "at least 0 and below 1"},
		{"SOLVER.NESTEROV", !s.Nesterov || s.Momentum > 0, "False without SOLVER.MOMENTUM"},
		{"SOLVER.STEPS", slices.IsSorted(s.Steps), "ascending iterations"},
		rule{"SOLVER.BASE_LR", finite(s.BaseLR) && s.BaseLR > 0, "a number above 0"},
		notNegative("SOLVER.BASE_LR_END", s.BaseLREnd),
		notNegative("SOLVER.GAMMA", s.Gamma),
		notNegative("SOLVER.BACKBONE_MULTIPLIER", s.BackboneMultiplier),
		notNegative("SOLVER.WARMUP_FACTOR", s.WarmupFactor),
		notNegative("SOLVER.WEIGHT_DECAY", s.WeightDecay),
		notNegative("SOLVER.WEIGHT_DECAY_NORM", s.WeightDecayNorm),
		{"MODEL_EMA.DECAY", c.ModelEMA.Decay >= 0 && c.ModelEMA.Decay <= 1, "0 to 1"},
		between("DATALOADER.NUM_WORKERS", c.DataLoader.NumWorkers, 0, 4096),
		oneOf("DATALOADER.SAMPLER_TRAIN", c.DataLoader.SamplerTrain, "TrainingSampler", "RepeatFactorTrainingSampler"),
		notNegative("DATALOADER.REPEAT_THRESHOLD", c.DataLoader.RepeatThreshold),
	}
}

func oneOf(key, got string, want ...string) rule {
	quoted := make([]string, len(want))
	for i, w := range want {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	text := strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
	return rule{key, slices.Contains(want, got), text}
}

func exactly(key string, got []string, want ...string) rule {
	return rule{key, slices.Equal(got, want), fmt.Sprintf("%q", want)}
}

func between(key string, got, least, most int) rule {
	return rule{key, got >= least && got <= most, fmt.Sprintf("%d to %d", least, most)}
}

func notNegative(key string, got float64) rule {
	return rule{key, finite(got) && got >= 0, "a number of at least 0"}
}

func part(key string, got, most float64) rule {
	return rule{key, got >= 0 && got <= most, fmt.Sprintf("0 to %g", most)}
}

// factors reports whether two numbers are a range of factors: positive and ascending.
func factors(low, high float64) bool { return low > 0 && low <= high && high <= maxFactor }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
