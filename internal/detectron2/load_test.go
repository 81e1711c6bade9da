package detectron2

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// loadText loads main.yaml from a set of files that exist in memory only. Unless a
// file says otherwise main.yaml builds on a complete small model.
func loadText(text string, more ...string) (*Config, []Warning, error) {
	files := map[string]string{"main.yaml": text}
	for i := 0; i+1 < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		return nil, nil, err
	}
	files["base.yaml"] = string(base)
	l := &loader{open: map[string]bool{}, read: func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}}
	tree, err := l.load("main.yaml")
	if err != nil {
		return nil, nil, err
	}
	return build(tree, l.warnings)
}

func TestLoadChain(t *testing.T) {
	c, warnings, err := Load("testdata/long/cells_res50_long.yaml")
	require.NoError(t, err)
	require.Empty(t, warnings)

	want := Defaults()
	want.Model.MetaArchitecture = "DiffusionInst"
	want.Model.Weights = "detectron2://ImageNetPretrained/torchvision/R-50.pkl"
	want.Model.MaskOn = true
	want.Model.PixelMean = [3]float64{123.675, 116.28, 103.53}
	want.Model.PixelStd = [3]float64{58.395, 57.12, 57.375}
	want.Model.Backbone.Name = ResNetFPN
	want.Model.ResNets.OutFeatures = []string{"res2", "res3", "res4", "res5"}
	want.Model.ResNets.StrideIn1x1 = false
	want.Model.FPN.InFeatures = []string{"res2", "res3", "res4", "res5"}
	want.Model.ROIHeads.InFeatures = []string{"p2", "p3", "p4", "p5"}
	want.Model.ROIBoxHead.PoolerResolution = 7
	want.Model.ROIBoxHead.PoolerSamplingRatio = 2
	want.Model.DiffusionInst.NumProposals = 400
	want.Model.DiffusionInst.NumClasses = 3
	want.Datasets = Datasets{Train: []string{"cells_train"}, Test: []string{"cells_val"}}
	want.Solver.ImsPerBatch = 32
	want.Solver.BaseLR = 0.000025
	want.Solver.Steps = []int{60000, 80000}
	want.Solver.MaxIter = 90000
	want.Solver.WarmupFactor = 0.01
	want.Solver.ClipGradients.Enabled = true
	want.Solver.ClipGradients.ClipType = "full_model"
	want.Seed = 7
	want.Input.Format = "RGB"
	want.Input.MinSizeTrain = []int{480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800}
	want.Input.Crop = Crop{Enabled: true, Type: "absolute_range", Size: [2]float64{384, 600}}
	want.DataLoader.FilterEmptyAnnotations = false
	require.Empty(t, cmp.Diff(want, c))
}

func TestLoadSwin(t *testing.T) {
	c, warnings, err := Load("testdata/lvis_swin.yaml")
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, "B-22k", c.Model.Swin.Size)
	require.Equal(t, 1203, c.Model.DiffusionInst.NumClasses)
	require.True(t, c.Model.DiffusionInst.UseFedLoss)
	require.Equal(t, []string{"swin0", "swin1", "swin2", "swin3"}, c.Model.FPN.InFeatures)
}

// The defaults that Detectron2 and the project document.
func TestDefaults(t *testing.T) {
	d := Defaults()
	require.Equal(t, "GeneralizedRCNN", d.Model.MetaArchitecture)
	require.Equal(t, "BGR", d.Input.Format)
	require.Equal(t, 300, d.Model.DiffusionInst.NumProposals)
	require.Equal(t, -1, d.Seed)
	require.Nil(t, d.Solver.WeightDecayBias)
	require.Len(t, d.Test.Aug.ScaleRanges, 13)
}

func TestGolden(t *testing.T) {
	for _, kind := range []golden.Kind{golden.Model, golden.Training} {
		golden.Each(t, kind, func(t *testing.T, dir string) {
			c, warnings, err := Load(filepath.Join(dir, "config.yaml"))
			require.NoError(t, err)
			require.Empty(t, warnings, "a full dump holds nothing but known keys")
			// The decoder's parameters tell its sizes a second time.
			d := c.Model.DiffusionInst
			for _, w := range golden.Weights(t, dir) {
				switch w.Name {
				case fmt.Sprintf("head.head_series.%d.class_logits.weight", d.NumHeads-1):
					require.Equal(t, []int64{int64(d.NumClasses), int64(d.HiddenDim)}, w.Shape)
				case "head.head_series.0.inst_interact.dynamic_layer.weight":
					require.Equal(t, []int64{int64(2 * d.HiddenDim * d.DimDynamic), int64(d.HiddenDim)}, w.Shape)
				}
			}
		})
	}
}

// An ablation that said what its base says would compare a model with itself.
func TestAblationsChangeTheirBase(t *testing.T) {
	const folder = "../../nuclei/"
	base, _, err := Load(folder + "train_cpu.yaml")
	require.NoError(t, err)
	files, err := filepath.Glob(folder + "ablations/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		c, warnings, err := Load(file)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.NotEqual(t, base, c, file)
	}
}

func TestValues(t *testing.T) {
	const head = "_BASE_: base.yaml\n"
	for name, test := range map[string]struct {
		text string
		get  func(c *Config) any
		want any
	}{
		"tuple in text":     {"INPUT: {MIN_SIZE_TRAIN: '(480, 512)'}", func(c *Config) any { return c.Input.MinSizeTrain }, []int{480, 512}},
		"plain tuple":       {"INPUT:\n  MIN_SIZE_TRAIN: (480,)", func(c *Config) any { return c.Input.MinSizeTrain }, []int{480}},
		"bare tuple":        {"INPUT:\n  MIN_SIZE_TRAIN: 480, 512", func(c *Config) any { return c.Input.MinSizeTrain }, []int{480, 512}},
		"list in text":      {"DATASETS: {TRAIN: \"['a', \\\"b\\\"]\"}", func(c *Config) any { return c.Datasets.Train }, []string{"a", "b"}},
		"empty tuple":       {"DATASETS: {TRAIN: ()}", func(c *Config) any { return c.Datasets.Train }, []string{}},
		"tuples in tuples":  {"TEST: {AUG: {SCALE_RANGES: '([0, 1], (2, 3.5))'}}", func(c *Config) any { return c.Test.Aug.ScaleRanges }, [][2]float64{{0, 1}, {2, 3.5}}},
		"python tuple tag":  {"SOLVER:\n  STEPS: !!python/tuple [1, 2]", func(c *Config) any { return c.Solver.Steps }, []int{1, 2}},
		"exponent":          {"SOLVER: {BASE_LR: 1e-3}", func(c *Config) any { return c.Solver.BaseLR }, 1e-3},
		"exponent in text":  {"SOLVER: {BASE_LR: '1e-3'}", func(c *Config) any { return c.Solver.BaseLR }, 1e-3},
		"integer for float": {"SOLVER: {WEIGHT_DECAY: 0}", func(c *Config) any { return c.Solver.WeightDecay }, 0.0},
		"float for integer": {"SOLVER: {MAX_ITER: 9e4}", func(c *Config) any { return c.Solver.MaxIter }, 90000},
		"infinity":          {"SOLVER: {CLIP_GRADIENTS: {NORM_TYPE: .inf}}", func(c *Config) any { return c.Solver.ClipGradients.NormType > 1e308 }, true},
		"yes":               {"MODEL: {MASK_ON: yes}", func(c *Config) any { return c.Model.MaskOn }, true},
		"True in text":      {"MODEL: {MASK_ON: 'True'}", func(c *Config) any { return c.Model.MaskOn }, true},
		"number as a name":  {"OUTPUT_DIR: '2024'", func(c *Config) any { return c.OutputDir }, "2024"},
		"null for text":     {"MODEL: {WEIGHTS: null}", func(c *Config) any { return c.Model.Weights }, ""},
		"null for nothing":  {"SOLVER: {WEIGHT_DECAY_BIAS: 0.5}", func(c *Config) any { return *c.Solver.WeightDecayBias }, 0.5},
		"empty section":     {"MODEL:", func(c *Config) any { return c.Model.ResNets.Depth }, 50},
		"anchor":            {"INPUT: {MIN_SIZE_TRAIN: &a [1, 2]}\nSOLVER: {STEPS: *a}", func(c *Config) any { return c.Solver.Steps }, []int{1, 2}},
		"merge key":         {"SOLVER:\n  <<: {MAX_ITER: 5, BASE_LR: 1.0}\n  MAX_ITER: 6", func(c *Config) any { return []any{c.Solver.MaxIter, c.Solver.BaseLR} }, []any{6, 1.0}},
	} {
		t.Run(name, func(t *testing.T) {
			c, warnings, err := loadText(head + test.text)
			require.NoError(t, err)
			require.Empty(t, warnings)
			require.Equal(t, test.want, test.get(c))
		})
	}
}

func TestErrors(t *testing.T) {
	const head = "_BASE_: base.yaml\n"
	for name, test := range map[string]struct {
		text string
		want []string // each must be a part of the message
	}{
		"typo":              {head + "MODEL:\n  DiffusionInst:\n    NUM_PROPOSAL: 5", []string{"main.yaml:4: MODEL.DiffusionInst.NUM_PROPOSAL: unknown key; did you mean MODEL.DiffusionInst.NUM_PROPOSALS?"}},
		"all typos":         {head + "SOLVER: {BASE_LRR: 1}\nINPUT: {FORMATT: RGB}\nMODEL: {DiffusionDet: {}}", []string{"3 problems", "SOLVER.BASE_LRR", "did you mean INPUT.FORMAT?", "did you mean MODEL.DiffusionInst?"}},
		"other section":     {head + "MODEL: {NUM_PROPOSALS: 5}", []string{"did you mean MODEL.DiffusionInst.NUM_PROPOSALS?"}},
		"stray":             {head + "ZZZ: 5", []string{"main.yaml:2: ZZZ: unknown key"}},
		"no architecture":   {"MODEL: {BACKBONE: {NAME: build_resnet_fpn_backbone}}", []string{`MODEL.META_ARCHITECTURE: no file sets it, and its default "GeneralizedRCNN"`}},
		"deformable":        {head + "MODEL: {RESNETS: {DEFORM_ON_PER_STAGE: [False, True, True, True]}}", []string{"main.yaml:2: MODEL.RESNETS.DEFORM_ON_PER_STAGE: [false, true, true, true] is not supported"}},
		"ResNeXt":           {head + "MODEL: {RESNETS: {NUM_GROUPS: 32}}", []string{"MODEL.RESNETS.NUM_GROUPS: 32 is not supported: want 1"}},
		"dilation":          {head + "MODEL: {RESNETS: {RES5_DILATION: 2}}", []string{"RES5_DILATION: 2"}},
		"FPN norm":          {head + "MODEL: {FPN: {NORM: GN}}", []string{`MODEL.FPN.NORM: "GN"`}},
		"keypoints":         {head + "MODEL: {KEYPOINT_ON: True}", []string{"MODEL.KEYPOINT_ON: true"}},
		"pooler":            {head + "MODEL: {ROI_BOX_HEAD: {POOLER_TYPE: ROIPool}}", []string{`POOLER_TYPE: "ROIPool"`}},
		"adaptive sampling": {head + "MODEL: {ROI_BOX_HEAD: {POOLER_SAMPLING_RATIO: 0}}", []string{"POOLER_SAMPLING_RATIO: 0"}},
		"activation":        {head + "MODEL: {DiffusionInst: {ACTIVATION: gelu}}", []string{`ACTIVATION: "gelu"`}},
		"depth":             {head + "MODEL: {RESNETS: {DEPTH: 51}}", []string{"DEPTH: 51"}},
		"shallow":           {head + "MODEL: {RESNETS: {DEPTH: 18}}", []string{"RES2_OUT_CHANNELS: no file sets it, and its default 256"}},
		"widths":            {head + "MODEL: {FPN: {OUT_CHANNELS: 128}}", []string{"HIDDEN_DIM", "MODEL.FPN.OUT_CHANNELS, which is 128"}},
		"heads":             {head + "MODEL: {DiffusionInst: {NHEADS: 7}}", []string{"NHEADS: 7"}},
		"no proposals":      {head + "MODEL: {DiffusionInst: {NUM_PROPOSALS: 0}}", []string{"NUM_PROPOSALS: 0"}},
		"negative steps":    {head + "MODEL: {DiffusionInst: {SAMPLE_STEP: -1}}", []string{"SAMPLE_STEP: -1"}},
		"std of zero":       {head + "MODEL: {PIXEL_STD: [1, 0, 1]}", []string{"PIXEL_STD"}},
		"NaN":               {head + "MODEL: {DiffusionInst: {SNR_SCALE: .nan}}", []string{"SNR_SCALE"}},
		"Swin features":     {head + "MODEL: {BACKBONE: {NAME: build_swintransformer_fpn_backbone}, SWIN: {SIZE: T}}", []string{"MODEL.FPN.IN_FEATURES"}},
		"old version":       {head + "VERSION: 1", []string{"VERSION: 1"}},
		"text for number":   {head + "SEED: seven", []string{`main.yaml:2: SEED: want an integer, got "seven"`}},
		"number for text":   {head + "OUTPUT_DIR: 5", []string{"OUTPUT_DIR: want text, got 5"}},
		"one for many":      {head + "INPUT: {MIN_SIZE_TRAIN: 800}", []string{"want a list, got 800"}},
		"wrong length":      {head + "MODEL: {PIXEL_STD: [1]}", []string{"want a list of 3, got [1]"}},
		"wrong item":        {head + "SOLVER: {STEPS: [1, x]}", []string{"want an integer as item 2"}},
		"fraction":          {head + "SOLVER: {MAX_ITER: 1.5}", []string{"want an integer, got 1.5"}},
		"bool for number":   {head + "SOLVER: {MAX_ITER: True}", []string{"want an integer, got true"}},
		"number for bool":   {head + "MODEL: {MASK_ON: 1}", []string{"want True or False, got 1"}},
		"value for section": {"MODEL: 3", []string{"main.yaml:1: MODEL: want a section, got 3"}},
		"section for value": {head + "SEED: {A: 1}", []string{"SEED: a section here, but 7 in base.yaml:"}},
		"value over base":   {head + "MODEL: 3", []string{"MODEL: is 3, but a section in base.yaml:"}},
		"missing base":      {"_BASE_: nowhere.yaml", []string{"nowhere.yaml", "not exist"}},
		"base on the web":   {"_BASE_: https://example.com/x.yaml", []string{"only local files"}},
		"base of itself":    {"_BASE_: main.yaml", []string{"main.yaml:1: _BASE_ leads back to main.yaml"}},
		"base no name":      {"_BASE_: [1]", []string{"wants a file name, got 1"}},
		"empty":             {"", []string{"empty"}},
		"comment only":      {"# nothing", []string{"empty"}},
		"list":              {"- 1", []string{"want KEY: value pairs"}},
		"not YAML":          {"\x89PNG\r\n\x1a\n", []string{"not YAML"}},
		"bad indent":        {"A:\n\t- b", []string{"main.yaml: not YAML"}},
		"two documents":     {"SEED: 1\n---\nSEED: 2", []string{"more than one YAML document"}},
		"code":              {head + "SEED: !!python/object/apply:os.system ['true']", []string{"main.yaml:2", "python/object/apply", "not allowed"}},
		"alias cycle":       {"MODEL: &m {A: *m}", []string{"alias"}},
		"bomb":              {bomb(), []string{"more than 65536 values"}},
		"deep":              {"A: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), []string{"nested deeper"}},
		"huge":              {strings.Repeat("#", maxBytes+1), []string{"too large"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := loadText(test.text)
			require.Nil(t, c)
			var typed *Error
			require.ErrorAs(t, err, &typed)
			require.NotEmpty(t, typed.Problems)
			for _, part := range test.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

// bomb is a YAML document of nine aliases in each of nine anchors.
func bomb() string {
	var b strings.Builder
	b.WriteString("A0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n")
	for i := 1; i < 9; i++ {
		list := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", ")
		fmt.Fprintf(&b, "A%d: &a%d [%s]\n", i, i, list)
	}
	return b.String()
}

func TestWarnings(t *testing.T) {
	const head = "_BASE_: base.yaml\n"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"at default":        {"MODEL: {RPN: {NMS_THRESH: 0.7, BBOX_REG_WEIGHTS: '(1, 1.0, 1, 1)'}}\nVIS_PERIOD: 0", nil},
		"RPN":               {"MODEL: {RPN: {NMS_THRESH: 0.8}}", []string{"main.yaml:2: MODEL.RPN.NMS_THRESH: 0.8 (default 0.7) has no effect on DiffusionInst here"}},
		"unknown below RPN": {"MODEL: {RPN: {NEW: 1}}", []string{"main.yaml:2: MODEL.RPN.NEW: 1 (unknown) has no effect on DiffusionInst here"}},
		"VIS_PERIOD":        {"VIS_PERIOD: 20", []string{"main.yaml:2: VIS_PERIOD: 20 (default 0) has no effect on DiffusionInst here"}},
		"read by nothing":   {"MODEL: {DiffusionInst: {DROPOUT: 0.5}}", []string{"main.yaml:2: MODEL.DiffusionInst.DROPOUT: 0.5 (default 0) has no effect on DiffusionInst here"}},
		"ROI_HEADS classes": {"MODEL: {ROI_HEADS: {NUM_CLASSES: 5}}", []string{"main.yaml:2: MODEL.ROI_HEADS.NUM_CLASSES: 5 has no effect: MODEL.DiffusionInst.NUM_CLASSES is 80"}},
		"written twice":     {"SEED: 1\nSEED: 2", []string{"main.yaml:3: SEED: written twice in one section: the last one counts"}},
		"value for ignored": {"MODEL: {RPN: 3}", []string{"main.yaml:2: MODEL.RPN: 3 (a section by default) has no effect on DiffusionInst here"}},
		"several, in order": {"VIS_PERIOD: 1\nGLOBAL: {HACK: 2}", []string{"main.yaml:2: VIS_PERIOD: 1 (default 0) has no effect on DiffusionInst here", "main.yaml:3: GLOBAL.HACK: 2 (default 1) has no effect on DiffusionInst here"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := loadText(head + test.text)
			require.NoError(t, err)
			var got []string
			for _, w := range warnings {
				got = append(got, w.String())
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestBases(t *testing.T) {
	t.Run("cycle", func(t *testing.T) {
		_, _, err := Load("testdata/cycle_a.yaml")
		require.ErrorContains(t, err, "testdata/cycle_b.yaml:1: _BASE_ leads back to testdata/cycle_a.yaml")
	})
	t.Run("missing", func(t *testing.T) {
		_, _, err := Load("testdata/none.yaml")
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
	t.Run("folder", func(t *testing.T) {
		_, _, err := Load("testdata")
		require.ErrorContains(t, err, "folder")
	})
	t.Run("long chain", func(t *testing.T) {
		var files []string
		for i := range 30 {
			files = append(files, fmt.Sprintf("f%d.yaml", i), fmt.Sprintf("_BASE_: f%d.yaml", i+1))
		}
		_, _, err := loadText("_BASE_: f0.yaml", files...)
		require.ErrorContains(t, err, "more than 16 files")
	})
	t.Run("several", func(t *testing.T) {
		c, _, err := loadText("_BASE_: [base.yaml, other.yaml]\nSOLVER: {MAX_ITER: 3}", "other.yaml", "SEED: 9\nSOLVER: {MAX_ITER: 4}")
		require.NoError(t, err)
		require.Equal(t, 9, c.Seed)
		require.Equal(t, 3, c.Solver.MaxIter)
	})
	t.Run("error in a base", func(t *testing.T) {
		_, _, err := loadText("_BASE_: other.yaml", "other.yaml", "_BASE_: base.yaml\n\nSEDE: 9")
		require.ErrorContains(t, err, "other.yaml:3: SEDE: unknown key; did you mean SEED?")
	})
}

func TestProblemString(t *testing.T) {
	require.Equal(t, "f:3: K: m", Problem{"f", 3, "K", "m"}.String())
	require.Equal(t, "f: m", Problem{File: "f", Message: "m"}.String())
	require.Equal(t, "K: m", Problem{Key: "K", Message: "m"}.String())
	require.True(t, errors.Is(&Error{Problems: []Problem{{}}, Err: fs.ErrExist}, fs.ErrExist))
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"base.yaml", "cells_res50.yaml", "lvis_swin.yaml", "long/cells_res50_long.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(string(text), "SEED: 3")
	}
	f.Add("_BASE_: other.yaml\nINPUT: {MIN_SIZE_TRAIN: '(480, [512,], -5)'}", "_BASE_: main.yaml")
	f.Add("_BASE_: [base.yaml, other.yaml]", "MODEL: &a\n  <<: *a\n  RPN: !!python/tuple [1]")
	f.Fuzz(func(t *testing.T, text, other string) {
		c, _, err := loadText(text, "other.yaml", other)
		if err == nil && c == nil {
			t.Fatal("neither a config nor an error")
		}
		var typed *Error
		if err != nil && (!errors.As(err, &typed) || len(typed.Problems) == 0) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
