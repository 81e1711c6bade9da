package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pt "github.com/diffusioninst/go/internal/pickletest"
)

const mark = "head.head_series.0.class_logits.weight"

// stateDict is a model with a tensor of one value, under names with a prefix.
func stateDict(prefix string, value float32, more ...string) pt.Dict {
	var d pt.Dict
	for _, name := range append([]string{mark, "head.bias"}, more...) {
		d = append(d, [2]any{prefix + name, pt.Tensor{Shape: []int{1}, Values: []float32{value}}})
	}
	return d
}

func joined(dicts ...pt.Dict) pt.Dict {
	var out pt.Dict
	for _, d := range dicts {
		out = append(out, d...)
	}
	return out
}

// bytesKeys returns d with names that are bytes objects.
func bytesKeys(d pt.Dict) (out pt.Dict) {
	for _, item := range d {
		name := item[0].(string)
		out = append(out, [2]any{pt.Raw("C" + string(rune(len(name))) + name), item[1]})
	}
	return out
}

// valueOfMark returns the value in the set of weights that is taken.
func valueOfMark(t *testing.T, f *File, o Average, prefer bool) (float32, *File) {
	t.Helper()
	w, err := f.Weights(o, prefer)
	require.NoError(t, err)
	found, ok := w.Tensor(mark)
	require.True(t, ok, tensorNames(w))
	values, err := found.Float32s()
	require.NoError(t, err)
	return values[0], w
}

// Weights are found whatever is before their names, and wherever they are in the file.
func TestWeightsAreFoundAnywhere(t *testing.T) {
	optimizer := [2]any{"optimizer", pt.Dict{{"state", pt.Dict{{0, pt.Dict{{"exp_avg", ones(3)}}}}}}}
	for name, root := range map[string]pt.Dict{
		"":                           stateDict("", 1),
		"module":                     stateDict("module.", 1),
		"_orig_mod":                  stateDict("_orig_mod.", 1),
		"_orig_mod.module":           stateDict("_orig_mod.module.", 1),
		"module._orig_mod":           stateDict("module._orig_mod.", 1),
		"state_dict.model._orig_mod": {{"state_dict", stateDict("model._orig_mod.", 1)}, {"hyper_parameters", pt.Object{Class: "mine.Config", Items: pt.Dict{{"lr", 0.1}}}}},
		"state_dict.net.module":      {{"state_dict", stateDict("net.module.", 1)}, {"args", pt.Object{Class: "argparse.Namespace", State: pt.Dict{{"lr", 0.1}}}}},
		"trainer.model":              {{"trainer", pt.Dict{{"model", stateDict("", 1)}, {"cfg", pt.Object{Class: "mine.Config"}}}}},
		"module._orig_mod.model":     stateDict("module._orig_mod.model.", 1),
		"detector.net":               stateDict("detector.net.", 1),
		"whatever":                   stateDict("whatever.", 1),
		"net":                        {{"net", stateDict("", 1)}, optimizer},
		"model.module":               {{"model", stateDict("module.", 1)}, optimizer, {"iteration", 3}},
		"state_dict.model":           {{"state_dict", joined(stateDict("model.", 1), pt.Dict{{"criterion.weight", ones(4)}})}, {"hyper_parameters", pt.Dict{{"lr", 0.1}}}},
		"weights":                    {{"weights", stateDict("", 1)}},
		"params":                     {{"params", stateDict("", 1)}, optimizer},
		"model.state_dict":           {{"model", pt.Dict{{"state_dict", stateDict("", 1)}}}},
		"checkpoint.model.module":    {{"checkpoint", pt.Dict{{"model", stateDict("module.", 1)}}}, {"name", "run"}},
		"network":                    {{"epoch", 3}, {"network", stateDict("", 1)}},
		"0":                          {{0, stateDict("", 1)}, {1, pt.Dict{{"exp_avg", ones(2)}}}},
		"module.model":               {{"module", stateDict("model.", 1)}, {"arch", "r50"}},
		"module.module":              {{"module", stateDict("module.", 1)}, {"optimizer", pt.Dict{{"fp32_flat_groups", pt.List{ones(3)}}}}, {"ds_version", "0.14"}}, // DeepSpeed
		"state_dict._forward_module": {{"state_dict", stateDict("_forward_module.", 1)}},
		"model._fsdp_wrapped_module": {{"model", stateDict("_fsdp_wrapped_module.", 1)}},
		"model":                      {{pt.Raw("C\x05model"), bytesKeys(stateDict("", 1))}},
	} {
		f, err := readPTH(t, root)
		require.NoError(t, err, name)
		v, w := valueOfMark(t, f, AverageAuto, false)
		require.Equal(t, float32(1), v)
		require.Equal(t, []string{mark, "head.bias"}, tensorNames(w), name)
		require.Len(t, w.Sets(), 1, name)
		require.Equal(t, name, w.Sets()[0].Name)
		require.Equal(t, 2, w.Sets()[0].Tensors)
		require.False(t, w.Sets()[0].Averaged)
		v, _ = valueOfMark(t, f, AverageAuto, true)
		require.Equal(t, float32(1), v, "there are no averages to prefer")
		v, _ = valueOfMark(t, f, AverageOff, true)
		require.Equal(t, float32(1), v)
		_, err = f.Weights(AverageOn, false)
		require.ErrorIs(t, err, ErrNoAverage, name)
		require.ErrorContains(t, err, "no averaged weights")
	}
}

// Averages are 2 here, the others 1.
func TestAverages(t *testing.T) {
	for name, c := range map[string]struct {
		root            any
		plain, averaged string
		auto            float32
	}{
		"Detectron2":          {pt.Dict{{"model", stateDict("", 1)}, {"ema_state", stateDict("", 2)}}, "model", "ema_state", 1},
		"of DataParallel":     {pt.Dict{{"model", stateDict("module.", 1)}, {"ema_state", stateDict("module.", 2)}}, "model.module", "ema_state.module", 1},
		"averages first":      {pt.Dict{{"ema", stateDict("", 2)}, {"state_dict", stateDict("", 1)}}, "state_dict", "ema", 1},
		"timm":                {pt.Dict{{"state_dict", stateDict("", 1)}, {"state_dict_ema", stateDict("", 2)}}, "state_dict", "state_dict_ema", 1},
		"basicsr":             {pt.Dict{{"params", stateDict("", 1)}, {"params_ema", stateDict("", 2)}}, "params", "params_ema", 1},
		"prefixes":            {pt.Dict{{"state_dict", joined(stateDict("model.", 1), stateDict("model_ema.module.", 2))}}, "state_dict.model", "state_dict.model_ema.module", 1},
		"flat":                {joined(stateDict("", 1), stateDict("ema.", 2)), "", "ema", 1},
		"student and teacher": {joined(stateDict("student.", 1), stateDict("teacher.", 2)), "student", "teacher", 1},
		"callback":            {pt.Dict{{"state_dict", stateDict("model.", 1)}, {"callbacks", pt.Dict{{"EMACallback", pt.Dict{{"weights", stateDict("model.", 2)}}}}}}, "state_dict.model", "callbacks.EMACallback.weights.model", 1},
		"object":              {pt.Dict{{"model", stateDict("", 1)}, {"ema", pt.Object{Class: "mine.EMA", State: pt.Dict{{"decay", 0.9}, {"shadow", stateDict("", 2)}}}}}, "model", "ema.shadow", 1},
		"MMEngine":            {pt.Dict{{"meta", pt.Dict{{"mmengine_version", "0.10"}}}, {"state_dict", stateDict("", 2)}, {"ema_state_dict", stateDict("module.", 1)}, {"message_hub", pt.Dict{}}}, "ema_state_dict.module", "state_dict", 2},
		"not MMEngine":        {pt.Dict{{"meta", pt.Dict{{"epoch", 1}}}, {"state_dict", stateDict("", 1)}, {"ema_state_dict", stateDict("module.", 2)}}, "state_dict", "ema_state_dict.module", 1},
		"best and last":       {pt.Dict{{"model", stateDict("", 1)}, {"best_model", stateDict("", 3)}, {"model_ema", stateDict("", 2)}}, "model", "model_ema", 1},
		"LitEma": {pt.Dict{{"state_dict", joined(stateDict("model.", 1), pt.Dict{{"model_ema.decay", ones(1)}, {"model_ema.num_updates", ones(1)},
			{"model_ema." + strings.ReplaceAll(mark, ".", ""), pt.Tensor{Shape: []int{1}, Values: []float32{2}}}, {"model_ema.headbias", ones(1)}})}}, "state_dict.model", "state_dict.model_ema", 1},
		"Lightning, WeightAveraging": {pt.Dict{{"state_dict", stateDict("model.", 2)}, {"current_model_state", stateDict("model.", 1)}, {"averaging_state", pt.Dict{{"n_averaged", ones(1)}}}}, "current_model_state.model", "state_dict.model", 2},
		"Lightning, EMA":             {pt.Dict{{"state_dict", stateDict("net.", 1)}, {"callbacks", pt.Dict{{"EMA{'decay': 0.999}", pt.Dict{{"ema_state_dict", stateDict("net.", 2)}}}}}}, "state_dict.net", "callbacks.EMA{'decay': 0.999}.ema_state_dict.net", 1},
		"ema-pytorch":                {pt.Dict{{"ema", joined(stateDict("online_model.", 1), stateDict("ema_model.", 2))}}, "ema.online_model", "ema.ema_model", 1},
		"ema-pytorch and the model":  {pt.Dict{{"model", stateDict("", 1)}, {"ema", joined(stateDict("online_model.", 3), stateDict("ema_model.", 2))}}, "model", "ema.ema_model", 1},
		"of a compiled model in DDP": {pt.Dict{{"model", stateDict("module._orig_mod.", 1)}, {"ema", stateDict("module.module._orig_mod.", 2)}}, "model.module._orig_mod", "ema.module.module._orig_mod", 1},
		"swa":                        {pt.Dict{{"model", stateDict("", 1)}, {"swa_model", joined(stateDict("module.", 2), pt.Dict{{"n_averaged", ones(1)}})}}, "model", "swa_model.module", 1},
	} {
		f, err := readPTH(t, c.root)
		require.NoError(t, err, name)
		for _, want := range []struct {
			o      Average
			prefer bool
			value  float32
		}{{AverageAuto, false, c.auto}, {AverageAuto, true, 2}, {AverageOn, false, 2}, {AverageOff, true, 1}} {
			v, w := valueOfMark(t, f, want.o, want.prefer)
			require.Equal(t, want.value, v, "%s %+v", name, want)
			place := map[float32]string{1: c.plain, 2: c.averaged}[v]
			require.Equal(t, place, w.Sets()[0].Name, name)
			require.Equal(t, v == 2, w.Sets()[0].Averaged, name)
			require.GreaterOrEqual(t, len(w.Sets()), 2, name)
			require.Len(t, w.Tensors, 2, name)
		}
	}
}

func TestOnlyAverages(t *testing.T) {
	f, err := readPTH(t, pt.Dict{{"ema_state", stateDict("", 2)}})
	require.NoError(t, err)
	v, w := valueOfMark(t, f, AverageAuto, false)
	require.Equal(t, float32(2), v)
	require.True(t, w.Sets()[0].Averaged)
	_, err = f.Weights(AverageOff, false)
	require.ErrorIs(t, err, ErrNoAverage)
	require.ErrorContains(t, err, "ema_state")
}

// Averages of parameters alone get the statistics of norms of what they are averages of.
func TestAveragesOfParametersAlone(t *testing.T) {
	f, err := readPTH(t, pt.Dict{{"model", stateDict("module.", 1, "norm.running_mean")}, {"ema", stateDict("", 2)}})
	require.NoError(t, err)
	v, w := valueOfMark(t, f, AverageOn, false)
	require.Equal(t, float32(2), v)
	mean, ok := w.Tensor("norm.running_mean")
	require.True(t, ok)
	values, err := mean.Float32s()
	require.NoError(t, err)
	require.Equal(t, []float32{1}, values)
	require.Equal(t, 1, w.Sets()[0].Filled)
	require.Equal(t, 2, w.Sets()[0].Tensors)
}

func TestAmbiguousWeights(t *testing.T) {
	for _, root := range []pt.Dict{
		joined(stateDict("a.", 1), stateDict("b.", 2)),
		joined(stateDict("net.", 1), stateDict("model.", 2)),
		{{"first", stateDict("", 1)}, {"second", stateDict("", 2)}},
	} {
		f, err := readPTH(t, root)
		require.NoError(t, err)
		_, err = f.Weights(AverageAuto, false)
		require.ErrorIs(t, err, ErrAmbiguous)
		require.ErrorContains(t, err, "several places")
	}
	// Two names of one module leave nothing to choose.
	f, err := readPTH(t, pt.Dict{{"state_dict", stateDict("model.", 1)}})
	require.NoError(t, err)
	twin := *f.Tensors[0]
	twin.Name = "criterion." + twin.Name
	f.groups[0].tensors = append(f.groups[0].tensors, &twin)
	_, w := valueOfMark(t, f, AverageAuto, false)
	require.Equal(t, "state_dict.model", w.Sets()[0].Name)
	var many pt.Dict
	for i := range 100 {
		many = append(many, stateDict(strings.Repeat("a", i)+".", 1)...)
	}
	f, err = readPTH(t, many)
	require.NoError(t, err)
	_, err = f.Weights(AverageAuto, false)
	require.ErrorContains(t, err, "more than 64 sets")
}

// A usual file is not copied.
func TestWeightsOfAUsualFile(t *testing.T) {
	f, err := readPTH(t, pt.Dict{{"model", stateDict("", 1)}, {"optimizer", pt.Dict{{"state", ones(1)}}}})
	require.NoError(t, err)
	_, w := valueOfMark(t, f, AverageAuto, true)
	require.Same(t, f.Tensors[0], w.Tensors[0])
	require.Less(t, testing.AllocsPerRun(10, func() { _, _ = f.Weights(AverageAuto, true) }), 16.0)
}

// Other models are found by the names of their parameters.
func TestWeightsOfOtherModels(t *testing.T) {
	fc := func(prefix string, value float32) pt.Dict {
		one := pt.Tensor{Shape: []int{1}, Values: []float32{value}}
		return pt.Dict{{prefix + "fc.weight", one}, {prefix + "fc.bias", one}}
	}
	params := []Param{{"fc.weight", []int64{1}}, {"fc.bias", []int64{1}}}
	for name, root := range map[string]pt.Dict{
		"":                fc("", 1),
		"model.module":    {{"model", fc("module.", 1)}, {"ema", fc("", 2)}},
		"params":          {{"params", fc("", 1)}, {"epoch", 2}},
		"student.encoder": joined(fc("student.encoder.", 1), fc("teacher.encoder.", 2)),
	} {
		f, err := readPTH(t, root)
		require.NoError(t, err, name)
		w, err := f.Weights(AverageAuto, false)
		require.NoError(t, err)
		m, err := Match(w, params)
		require.NoError(t, err, name)
		require.Len(t, m.Tensors, 2, name)
		values, err := m.Tensors["fc.weight"].Float32s()
		require.NoError(t, err)
		require.Equal(t, []float32{1}, values, name)
		require.Equal(t, name, m.From.Sets()[0].Name)
		if len(m.From.Sets()) > 1 {
			w, err = f.Weights(AverageOn, false)
			require.NoError(t, err)
			m, err = Match(w, params)
			require.NoError(t, err, name)
			values, err = m.Tensors["fc.bias"].Float32s()
			require.NoError(t, err)
			require.Equal(t, []float32{2}, values, name)
		}
	}
	f, err := readPTH(t, pt.Dict{{"model", fc("module.net.", 1)}})
	require.NoError(t, err)
	require.Equal(t, []string{"fc.weight", "fc.bias"}, tensorNames(f.For("fc.weight")))
	require.Equal(t, []string{"net.fc.weight", "net.fc.bias"}, tensorNames(f.For("net.fc.weight")))
	require.Same(t, f, f.For("module.net.fc.weight"))
	require.Same(t, f, f.For("other"))
	f, err = readPTH(t, joined(fc("net.", 1), pt.Dict{{"other.weight", ones(1)}}))
	require.NoError(t, err)
	require.Same(t, f, f.For("fc.weight"), "the rest would be forgotten")
}

func TestWordsOf(t *testing.T) {
	for name, want := range map[string]string{
		"model_ema": "model ema", "EMACallback": "ema callback", "modelEMA": "model ema", "ema2.x": "ema x", "": "", "schema": "schema",
		"ModelEMAV2": "model emav", "_orig_mod": "orig mod", "averageWeights": "average weights",
	} {
		require.Equal(t, want, strings.Join(wordsOf(name), " "), name)
	}
}

// MMCV's EMAHook registers averages as buffers of the model, with underscores for dots.
func TestAveragesWithUnderscores(t *testing.T) {
	for _, prefix := range []string{"", "module."} {
		root := stateDict(prefix, 1, "stem.norm.running_mean")
		for _, x := range stateDict("", 2) {
			root = append(root, [2]any{prefix + "ema_" + strings.ReplaceAll(x[0].(string), ".", "_"), x[1]})
		}
		f, err := readPTH(t, pt.Dict{{"meta", pt.Dict{{"mmcv_version", "1.7"}}}, {"state_dict", root}})
		require.NoError(t, err)
		v, w := valueOfMark(t, f, AverageAuto, false)
		require.Equal(t, float32(1), v)
		require.Len(t, w.Tensors, 3)
		v, w = valueOfMark(t, f, AverageOn, false)
		require.Equal(t, float32(2), v)
		require.Equal(t, "state_dict."+prefix+"ema_", w.Sets()[0].Name)
		require.Len(t, w.Tensors, 3)
		require.Equal(t, 1, w.Sets()[0].Filled)
	}
}

// Averages in a list are named, and never taken.
func TestAveragesWithoutNames(t *testing.T) {
	list := pt.Dict{{"decay", 0.9}, {"num_updates", 3}, {"shadow_params", pt.List{ones(1), ones(1)}}, {"collected_params", pt.List{ones(1)}}}
	for _, root := range []pt.Dict{{{"model", stateDict("module.", 1)}, {"ema", list}}, append(stateDict("", 1), list...)} {
		f, err := readPTH(t, root)
		require.NoError(t, err)
		for _, prefer := range []bool{false, true} {
			v, w := valueOfMark(t, f, AverageAuto, prefer)
			require.Equal(t, float32(1), v)
			require.Len(t, w.Sets(), 2)
			require.True(t, w.Sets()[1].Unnamed)
			require.Contains(t, w.Sets()[1].Name, "shadow_params")
		}
		_, err = f.Weights(AverageOn, false)
		require.ErrorIs(t, err, ErrNoAverage)
		require.ErrorContains(t, err, "shadow_params are a list without names")
	}
}

// Parts of a model may be wrapped, in the middle of names.
func TestWrappedParts(t *testing.T) {
	const conv = "backbone.bottom_up.res2.0.conv1.weight"
	one := pt.Tensor{Shape: []int{1}, Values: []float32{1}}
	for name, names := range map[string][2]string{
		"compiled":              {"head._orig_mod.head_series.0.class_logits.weight", "backbone._orig_mod.bottom_up.res2.0.conv1.weight"},
		"backbone compiled":     {mark, "backbone._orig_mod.bottom_up.res2.0.conv1.weight"},
		"backbone, Lightning":   {"model." + mark, "model.backbone.module.bottom_up.res2.0.conv1.weight"},
		"FSDP":                  {"_fsdp_wrapped_module.head._fsdp_wrapped_module.head_series.0.class_logits.weight", "_fsdp_wrapped_module.backbone._fsdp_wrapped_module.bottom_up.res2.0.conv1.weight"},
		"activation checkpoint": {"module.head.head_series.0._checkpoint_wrapped_module.class_logits.weight", "module." + conv},
	} {
		f, err := readPTH(t, pt.Dict{{"state_dict", pt.Dict{{names[0], one}, {names[1], one}}}})
		require.NoError(t, err)
		v, w := valueOfMark(t, f, AverageAuto, false)
		require.Equal(t, float32(1), v)
		require.ElementsMatch(t, []string{mark, conv}, tensorNames(w), name)
		require.Len(t, w.Sets(), 1, name)
		require.Equal(t, 2, w.Sets()[0].Tensors)
	}
	// Names that would become the same stay.
	f, err := readPTH(t, joined(stateDict("", 1), pt.Dict{{"head.module.bias", ones(1)}}))
	require.NoError(t, err)
	_, w := valueOfMark(t, f, AverageAuto, false)
	require.Contains(t, tensorNames(w), "head.module.bias")
}

// PyTorch's older form in pickle protocol 1 has no signature, and ends with values.
func TestOldFormOfProtocol1(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "legacy.pth"))
	require.NoError(t, err)
	_, rest, found := bytes.Cut(data, []byte("l\xfc\x9cF\xf9 j\xa8P\x19."))
	require.True(t, found)
	want, err := Read(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	data = append([]byte("L119547037146038801333356L\n."), rest...)
	got, err := Read(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	require.Equal(t, PyTorchLegacy, got.Format)
	require.Equal(t, tensorNames(want), tensorNames(got))
}
