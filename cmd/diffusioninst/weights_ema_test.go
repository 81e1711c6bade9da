//go:build cgo

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/pickletest"
)

const classBias = "head.head_series.0.class_logits.bias"

// withAverages writes a checkpoint of the weights in a file, and of averages whose scores are higher: the
// biases of classes are greater by 3. It returns the first bias.
func withAverages(t *testing.T, from, to string) float32 {
	t.Helper()
	file, err := checkpoint.Open(from)
	require.NoError(t, err)
	defer file.Close()
	var weights, averages pickletest.Dict
	var bias float32
	for _, x := range file.Tensors {
		values, err := x.Float32s()
		require.NoError(t, err)
		shape := checkpoint.Ints(x.Shape)
		weights = append(weights, [2]any{x.Name, pickletest.Tensor{Shape: shape, Values: values}})
		raised := slices.Clone(values)
		if x.Name == classBias {
			bias = values[0]
		}
		if strings.HasSuffix(x.Name, "class_logits.bias") {
			for i := range raised {
				raised[i] += 3
			}
		}
		averages = append(averages, [2]any{x.Name, pickletest.Tensor{Shape: shape, Values: raised}})
	}
	require.NoError(t, os.WriteFile(to, pickletest.PTH(pickletest.Dict{{"model", weights}, {"ema_state", averages}}), 0o666))
	return bias
}

// test and train take the set that --ema and MODEL_EMA say, as segment, info and export do: see
// TestWeightsAsPeopleHaveThem.
func TestEveryCommandTakesTheSameWeights(t *testing.T) {
	args, dir := tinyRun(t, ""), t.TempDir()
	args = append(args, "--val", "", "--steps", "1")
	_, err := program(t, append(args, "--out", dir)...)
	require.NoError(t, err)
	both := filepath.Join(t.TempDir(), "both.pth")
	bias := withAverages(t, filepath.Join(dir, "model.safetensors"), both)
	base := args[slices.Index(args, "--config")+1]
	images, truth := filepath.Dir(base), filepath.Join(filepath.Dir(base), "instances.json")
	config := func(name, text string) string {
		at := filepath.Join(images, name)
		require.NoError(t, os.WriteFile(at, []byte("_BASE_: config.yaml\nMODEL: {DiffusionInst: {NUM_CLASSES: 5}}\nSOLVER: {BASE_LR: 1.0e-9}\n"+text), 0o666))
		return at
	}
	enabled, plain := config("enabled.yaml", ""), config("plain.yaml", "MODEL_EMA: {ENABLED: false}\n")
	best := func(config, ema string) float64 {
		dets := filepath.Join(t.TempDir(), "dets.json")
		_, err := program(t, "test", "--weights", both, "--config", config, "--ema", ema, "--gt", truth, "--images", images, "--limit-images", "1",
			"--score", "-1", "--limit", "1", "--dets", dets, "--device", "cpu", "--threads", "1")
		require.NoError(t, err)
		results, err := coco.LoadResults(dets)
		require.NoError(t, err)
		return results[0].Score
	}
	low, high := best(plain, "off"), best(plain, "on")
	require.Greater(t, high, low+0.1)
	for _, c := range []struct {
		config, ema string
		averages    bool
	}{{plain, "auto", false}, {enabled, "auto", true}, {enabled, "off", false}, {plain, "on", true}} {
		want := low
		if c.averages {
			want = high
		}
		if c.ema == "auto" || c.config == enabled { // the others are the two above
			require.Equal(t, want, best(c.config, c.ema), "test: %+v", c)
		}
		out := t.TempDir()
		_, said, err := runProgram(nil, append(args, "--config", c.config, "--weights", both, "--ema", c.ema, "--out", out)...)
		require.NoError(t, err, said)
		file, err := checkpoint.Open(filepath.Join(out, "model.safetensors"))
		require.NoError(t, err)
		i := slices.IndexFunc(file.Tensors, func(x *checkpoint.Tensor) bool { return x.Name == classBias })
		values, err := file.Tensors[i].Float32s()
		require.NoError(t, err)
		require.NoError(t, file.Close())
		if c.averages {
			require.InDelta(t, bias+3, values[0], 1e-4, "train: %+v", c)
			require.Contains(t, said, "weights: ema_state, averaged; also in the file: model (--ema off)\n")
		} else {
			require.InDelta(t, bias, values[0], 1e-4, "train: %+v", c)
			require.Contains(t, said, "weights: model; also in the file: ema_state (--ema on)\n")
		}
	}
}
