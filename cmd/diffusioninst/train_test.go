//go:build cgo

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/journal"
)

// tinyRun writes a data set of drawn pictures and a configuration of a model that learns
// on it in milliseconds, and returns flags of the train command; more is YAML.
func tinyRun(t *testing.T, more string) []string {
	t.Helper()
	folder := t.TempDir()
	_, err := program(t, "data", "simulate", folder, "--count", "5", "--width", "64", "--height", "48", "--objects", "3")
	require.NoError(t, err)
	base, err := filepath.Abs(filepath.Join(golden.Dir("mini_train_r50s"), "config.yaml"))
	require.NoError(t, err)
	config := filepath.Join(folder, "config.yaml")
	text := fmt.Sprintf(`_BASE_: %s
MODEL:
  BACKBONE: {FREEZE_AT: 0}
  RESNETS: {DEPTH: 50, NORM: BN, STEM_OUT_CHANNELS: 4, WIDTH_PER_GROUP: 4, RES2_OUT_CHANNELS: 8}
  FPN: {OUT_CHANNELS: 16}
  DiffusionInst: {HIDDEN_DIM: 16, DIM_DYNAMIC: 4, DIM_FEEDFORWARD: 16, NHEADS: 2, NUM_HEADS: 1, NUM_PROPOSALS: 8}
INPUT: {SCALE_RANGE: [0.7, 1.2], CROP: {ENABLED: True, TYPE: absolute, SIZE: [48, 48]}, MIN_SIZE_TEST: 0}
DATALOADER: {ASPECT_RATIO_GROUPING: false, NUM_WORKERS: 2}
MODEL_EMA: {ENABLED: True, DECAY: 0.9}
%s
`, base, more)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o666))
	truth := filepath.Join(folder, "instances.json")
	return []string{"train", "--config", config, "--train", truth, "--val", truth, "--images", folder, "--device", "cpu", "--threads", "1"}
}

func TestTrain(t *testing.T) {
	args, out := tinyRun(t, ""), t.TempDir()
	args = append(args, "--steps", "6", "--eval-every", "3", "--save-every", "2", "--eval-steps", "1,2", "--out", out)
	text, err := program(t, args...)
	require.NoError(t, err)
	require.Regexp(t, `(?s)^step 3  AP .*  AP50_2_steps .*\nstep 6  AP `, text)
	for _, name := range []string{"last.safetensors", "best.safetensors", "model.safetensors", "model.pth", "train.png", "evaluation.png"} {
		require.FileExists(t, filepath.Join(out, name))
	}
	series, err := journal.Read(filepath.Join(out, "train.csv"))
	require.NoError(t, err)
	require.Equal(t, "loss", series[0].Name)
	require.Len(t, series[0].Points, 6)

	_, err = program(t, args...)
	require.ErrorContains(t, err, "resume it")
	before, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
	require.NoError(t, err)
	_, err = program(t, append(args, "--resume")...)
	require.NoError(t, err, "nothing is left to do")
	after, err := os.ReadFile(filepath.Join(out, "model.safetensors"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after))
	_, err = program(t, append(args, "--resume", "--batch", "1")...)
	require.ErrorContains(t, err, "batches of 2")

	// Both forms of the model, and the checkpoints, are what every command takes.
	truth := args[4]
	var scores []string
	for _, weights := range []string{"model.safetensors", "model.pth", "last.safetensors"} {
		text, err := program(t, "test", "--weights", filepath.Join(out, weights), "--gt", truth, "--images", filepath.Dir(truth), "--device", "cpu", "--json")
		require.NoError(t, err)
		scores = append(scores, text)
	}
	require.Equal(t, scores[0], scores[1])
	require.Equal(t, scores[0], scores[2])
}

func TestTrainInReplicasAndMixedPrecision(t *testing.T) {
	args := append(tinyRun(t, ""), "--steps", "2", "--replicas", "2", "--precision", "bfloat16", "--out", t.TempDir())
	text, warnings, err := runProgram(nil, args...)
	if lacking := torch.CPU.CheckPrecision(t.Context(), torch.BFloat16); lacking != nil {
		require.ErrorContains(t, err, "use float32")
		t.Skip(lacking)
	}
	require.NoError(t, err)
	require.Contains(t, text, "step 2  AP ")
	require.Equal(t, !torch.FastBFloat16(), strings.Contains(warnings, "this processor has no AMX"), warnings)
}

func TestTrainSkipsBrokenPictures(t *testing.T) {
	args := tinyRun(t, "")
	folder := filepath.Dir(args[4])
	args = append(args, "--steps", "4", "--val", "")
	require.NoError(t, os.Truncate(filepath.Join(folder, "0002.png"), 100))
	_, err := program(t, append(args, "--out", t.TempDir())...)
	require.ErrorContains(t, err, "0002.png")
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append(args, "--out", t.TempDir(), "--on-error", "skip"))
	require.NoError(t, root.ExecuteContext(t.Context()))
	require.Contains(t, out.String(), "skipped")
	require.Contains(t, out.String(), "0002.png")
}

func TestTrainRefuses(t *testing.T) {
	args := append(tinyRun(t, ""), "--out", t.TempDir())
	for flags, want := range map[string]string{
		"--steps 0":              "--steps 0",
		"--eval-steps 1,0":       "--eval-steps 0",
		"--on-error maybe":       "maybe",
		"--accumulate 3":         "--accumulate 3",
		"--device moon":          "moon",
		"--replicas 0":           "--replicas 0",
		"--precision int8":       "int8",
		"--precision float16":    "float16",
		"--train none.json":      "none.json",
		"--val none.json":        "none.json",
		"--config none.yaml":     "none.yaml",
		"--resume":               "last.safetensors",
		"--weights none.pth":     "none.pth",
		"--weights builtin:none": "builtin:none",
		"--images nowhere":       "nowhere",
		"--limit-images -1":      "-1",
		"--resume=none.sometime": "none.sometime",
	} {
		_, err := program(t, append(args, strings.Fields(flags)...)...)
		require.ErrorContains(t, err, want, flags)
	}
}

func TestTrainStartsFromACheckpoint(t *testing.T) {
	args, first, second := tinyRun(t, ""), t.TempDir(), t.TempDir()
	args = append(args, "--val", "", "--steps", "1")
	_, err := program(t, append(args, "--out", first)...)
	require.NoError(t, err)
	weights := filepath.Join(first, "model.safetensors")
	file, err := os.ReadFile(weights)
	require.NoError(t, err)
	builtins["tiny"] = func() *io.SectionReader { return io.NewSectionReader(bytes.NewReader(file), 0, int64(len(file))) }
	t.Cleanup(func() { delete(builtins, "tiny") })
	for _, from := range []string{weights, "builtin:tiny"} {
		var out bytes.Buffer
		root := newRoot()
		root.SetErr(&out)
		root.SetArgs(append(args, "--out", filepath.Join(second, filepath.Base(from)), "--weights", from))
		require.NoError(t, root.ExecuteContext(t.Context()))
		require.Regexp(t, `(\d+) of the model's \d+ parameters come from `+from, out.String())
	}
}

func TestRunShorterThanItsWarmUpIsNoticed(t *testing.T) {
	s := nn.Warmup{Steps: 200, From: 0.01, Schedule: nn.Cosine{Steps: 1000}}
	require.InDelta(t, 0.2, highestRate(s, 40), 0.02)
	require.Greater(t, highestRate(s, 1000), 0.9)
	require.Equal(t, 1., highestRate(nn.Cosine{Steps: 3}, 3))
}
