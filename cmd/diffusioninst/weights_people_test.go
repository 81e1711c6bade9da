//go:build cgo

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/pickletest"
	"github.com/diffusioninst/go/nn"
)

// miniState is a golden case's state dictionary under names with a prefix; bias is added to
// the scores' biases.
func miniState(t *testing.T, prefix string, bias float32) pickletest.Dict {
	t.Helper()
	var out pickletest.Dict
	for _, w := range golden.Weights(t, golden.Dir("mini_r50s_1step")) {
		values := append([]float32{}, w.Values()...)
		if strings.HasSuffix(w.Name, "class_logits.bias") {
			for i := range values {
				values[i] += bias
			}
		}
		shape := make([]int, len(w.Shape))
		for i, n := range w.Shape {
			shape[i] = int(n)
		}
		out = append(out, [2]any{prefix + w.Name, pickletest.Tensor{Shape: shape, Values: values}})
	}
	return out
}

// peopleCheckpoints writes checkpoints as people have them, and two configurations: the
// averages that the second one asks for have higher scores.
func peopleCheckpoints(t *testing.T) (file func(name string) string, plain, enabled string) {
	t.Helper()
	dir := t.TempDir()
	file = func(name string) string { return filepath.Join(dir, name) }
	unknown := pickletest.Object{Class: "mine.config.Config", State: pickletest.Dict{{"lr", 0.1}}}
	for name, root := range map[string]pickletest.Dict{
		"plain.pth":     {{"model", miniState(t, "", 0)}},
		"module.pth":    {{"model", miniState(t, "module.", 0)}},
		"orig_mod.pth":  miniState(t, "_orig_mod.module.", 0),
		"fsdp.pth":      {{"model", miniState(t, "_fsdp_wrapped_module.", 0)}},
		"deepspeed.pt":  {{"module", miniState(t, "module.", 0)}, {"ds_config", unknown}, {"param_shapes", pickletest.List{}}},
		"flat.pth":      {{"model", pickletest.Dict{{"_flat_param", pickletest.Tensor{Shape: []int{1}, Values: []float32{1}}}}}},
		"lightning.pth": {{"state_dict", append(miniState(t, "model.", 0), [2]any{"loss.weight", pickletest.Tensor{Shape: []int{1}, Values: []float32{1}}})}, {"hyper_parameters", unknown}},
		"both.pth":      {{"model", miniState(t, "", 0)}, {"ema_state", miniState(t, "", 3)}, {"cfg", unknown}},
		"averages.pth":  {{"ema_state", miniState(t, "", 3)}},
	} {
		require.NoError(t, os.WriteFile(file(name), pickletest.PTH(root), 0o666))
	}
	base, err := filepath.Abs(filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml"))
	require.NoError(t, err)
	plain, enabled = file("plain.yaml"), file("enabled.yaml")
	require.NoError(t, os.WriteFile(plain, fmt.Appendf(nil, "_BASE_: %s\nINPUT: {MIN_SIZE_TEST: 0}\n", base), 0o666))
	require.NoError(t, os.WriteFile(enabled, []byte("_BASE_: plain.yaml\nMODEL_EMA: {ENABLED: true}\n"), 0o666))
	return file, plain, enabled
}

func TestWeightsAsPeopleHaveThem(t *testing.T) {
	file, plain, enabled := peopleCheckpoints(t)
	picture := file("a.png")
	var img bytes.Buffer
	require.NoError(t, png.Encode(&img, image.NewGray(image.Rect(0, 0, 48, 32))))
	require.NoError(t, os.WriteFile(picture, img.Bytes(), 0o666))
	best := func(weights, config string, more ...string) (float64, string) {
		out := t.TempDir()
		args := append([]string{"segment", "--weights", file(weights), "--config", config, "--device", "cpu", "--proposals", "10", "--score", "-1", "--limit", "1", "--format", "results", "--output", out, picture}, more...)
		_, stderr, err := runProgram(nil, args...)
		require.NoError(t, err, weights)
		results, err := coco.LoadResults(filepath.Join(out, "results.json"))
		require.NoError(t, err)
		return results[0].Score, stderr
	}
	low, said := best("plain.pth", plain)
	require.Empty(t, said)
	high, said := best("averages.pth", plain)
	require.Empty(t, said)
	require.Greater(t, high, low+0.2)
	for _, weights := range []string{"module.pth", "orig_mod.pth", "lightning.pth", "fsdp.pth", "deepspeed.pt"} {
		score, said := best(weights, enabled)
		require.Equal(t, low, score, weights)
		require.Empty(t, said)
	}
	for _, c := range []struct {
		config, flag string
		want         float64
		says         string
	}{
		{plain, "auto", low, "weights: model; also in the file: ema_state (--ema on)\n"},
		{enabled, "auto", high, "weights: ema_state, averaged; also in the file: model (--ema off)\n"},
		{plain, "on", high, "weights: ema_state, averaged; also in the file: model (--ema off)\n"},
		{enabled, "off", low, "weights: model; also in the file: ema_state (--ema on)\n"},
	} {
		score, said := best("both.pth", c.config, "--ema", c.flag)
		require.Equal(t, c.want, score, "%+v", c)
		require.Equal(t, c.says, said)
	}

	for _, c := range []struct{ weights, ema, says string }{
		{"plain.pth", "on", "no averaged weights (EMA); its sets of weights: model"},
		{"averages.pth", "off", "averaged weights (EMA) only; its sets of weights: ema_state"},
		{"plain.pth", "maybe", "not auto, on or off"},
		{"flat.pth", "auto", "flattened by FSDP: save the full state dictionary"},
	} {
		_, err := program(t, "segment", "--weights", file(c.weights), "--ema", c.ema, "--device", "cpu", "--output", t.TempDir(), picture)
		require.ErrorContains(t, err, c.says)
	}
	completed, err := program(t, "__complete", "test", "--ema", "o")
	require.NoError(t, err)
	require.Contains(t, completed, "on\noff\n")
	_, err = program(t, "bench", "--weights", "untrained", "--ema", "on")
	require.ErrorContains(t, err, "untrained weights have no averages")

	// The SDK does the same.
	config, _, err := diffusioninst.LoadConfig(enabled)
	require.NoError(t, err)
	m, err := diffusioninst.Load(t.Context(), file("both.pth"), diffusioninst.LoadOptions{Config: &config})
	require.NoError(t, err)
	require.Equal(t, "ema_state", m.Weights()[0].Name)
	require.NoError(t, m.Close())
	m, err = diffusioninst.Load(t.Context(), file("both.pth"), diffusioninst.LoadOptions{Config: &config, EMA: nn.EMAOff})
	require.NoError(t, err)
	require.Equal(t, "model", m.Weights()[0].Name)
	require.NoError(t, m.Close())
	_, err = diffusioninst.Load(t.Context(), file("plain.pth"), diffusioninst.LoadOptions{EMA: nn.EMAOn})
	require.ErrorIs(t, err, nn.ErrNoAverage)
}

func TestInfoTellsWhichWeights(t *testing.T) {
	file, _, _ := peopleCheckpoints(t)
	text, err := program(t, "info", file("both.pth"))
	require.NoError(t, err)
	require.Regexp(t, `weights +model, \d+ tensors: taken by default\n`, text)
	require.Regexp(t, `weights +ema_state, \d+ tensors, averaged: taken with --ema on, or if --config enables MODEL_EMA\n`, text)
	require.Regexp(t, `read over +objects of mine.config.Config: `, text)
	require.Regexp(t, `classes +80;`, text)
	text, err = program(t, "info", file("lightning.pth"))
	require.NoError(t, err)
	require.Regexp(t, `weights +state_dict.model, \d+ tensors\n`, text)
	require.Regexp(t, `classes +80;`, text)
	text, err = program(t, "info", file("averages.pth"))
	require.NoError(t, err)
	require.Regexp(t, `weights +ema_state, \d+ tensors, averaged\n`, text)
	text, err = program(t, "info", "--json", file("both.pth"))
	require.NoError(t, err)
	require.Contains(t, text, `"place": "ema_state"`)
	text, err = program(t, "info", file("plain.pth"))
	require.NoError(t, err)
	require.Regexp(t, `weights +model, \d+ tensors\n`, text)
}

func TestExportTakesTheWeightsAsPeopleHaveThem(t *testing.T) {
	file, plain, enabled := peopleCheckpoints(t)
	var exported []string
	for i, args := range [][]string{{"lightning.pth", plain, "auto"}, {"both.pth", enabled, "off"}, {"both.pth", enabled, "auto"}, {"averages.pth", plain, "auto"}} {
		out := file(fmt.Sprintf("out%d.safetensors", i))
		_, err := program(t, "export", "--weights", file(args[0]), "--config", args[1], "--ema", args[2], "--out", out)
		require.NoError(t, err)
		data, err := os.ReadFile(out)
		require.NoError(t, err)
		exported = append(exported, string(data))
	}
	require.True(t, exported[0] == exported[1])
	require.True(t, exported[2] == exported[3])
	require.False(t, exported[0] == exported[2])
}

// train starts from what the other commands take.
func TestTrainFromCheckpointsAsPeopleHaveThem(t *testing.T) {
	args, first := tinyRun(t, ""), t.TempDir()
	args = append(args, "--val", "", "--steps", "1")
	_, _, err := runProgram(nil, append(args, "--out", first)...)
	require.NoError(t, err)
	_, stderr, err := runProgram(nil, append(args, "--weights", filepath.Join(first, "last.safetensors"), "--ema", "off", "--out", t.TempDir())...)
	require.NoError(t, err)
	require.Contains(t, stderr, "weights: model; also in the file: average (--ema on)\n")

	file, err := checkpoint.Open(filepath.Join(first, "model.safetensors"))
	require.NoError(t, err)
	defer file.Close()
	var state pickletest.Dict
	for _, x := range file.Tensors {
		values, err := x.Float32s()
		require.NoError(t, err)
		state = append(state, [2]any{"_orig_mod.module." + x.Name, pickletest.Tensor{Shape: checkpoint.Ints(x.Shape), Values: values}})
	}
	wrapped := filepath.Join(t.TempDir(), "wrapped.ckpt")
	require.NoError(t, os.WriteFile(wrapped, pickletest.PTH(pickletest.Dict{{"state_dict", state}, {"trainer", pickletest.Object{Class: "mine.Trainer"}}}), 0o666))
	_, stderr, err = runProgram(nil, append(args, "--weights", wrapped, "--out", t.TempDir())...)
	require.NoError(t, err)
	require.Regexp(t, `(\d+) of the model's (\d+) parameters come from `, stderr)
	require.NotContains(t, stderr, "random")
	_, _, err = runProgram(nil, append(args, "--weights", wrapped, "--ema", "on", "--out", t.TempDir())...)
	require.ErrorIs(t, err, nn.ErrNoAverage)
}
