//go:build cgo

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/torch"
)

func TestExport(t *testing.T) {
	before := torch.Live()
	dir := t.TempDir()
	in := filepath.Join(dir, "in.safetensors")
	require.NoError(t, os.WriteFile(in, miniCheckpoint(t), 0o666))
	original, err := checkpoint.Open(in)
	require.NoError(t, err)
	defer original.Close()
	size, err := os.Stat(in)
	require.NoError(t, err)

	for _, name := range []string{"half.safetensors", "half.pth", "again.safetensors"} {
		from := in
		if name == "again.safetensors" {
			from = filepath.Join(dir, "half.pth")
		}
		out := filepath.Join(dir, name)
		stdout, err := program(t, "export", "--weights", from, "--out", out, "--half", "--steps", "3", "--proposals", "9", "--mask-score", "0.25", "--consensus", "0.75", "--scales", "1,1.5",
			"--note", "data=drawn, by = hand", "--note", "licence=CC0 1.0")
		require.NoError(t, err)
		require.Contains(t, stdout, out)
		smaller, err := os.Stat(out)
		require.NoError(t, err)
		require.Less(t, smaller.Size(), size.Size()*3/4)

		file, err := checkpoint.Open(out)
		require.NoError(t, err)
		require.Equal(t, "drawn, by = hand", file.Metadata["data"])
		require.Equal(t, "CC0 1.0", file.Metadata["licence"])
		require.Len(t, file.Tensors, len(original.Tensors))
		for _, want := range original.Tensors {
			got, ok := file.Tensor(want.Name)
			require.True(t, ok)
			require.Equal(t, len(want.Shape) > 1, got.DType == checkpoint.Float16, want.Name)
			a, err := want.Float32s()
			require.NoError(t, err)
			b, err := got.Float32s()
			require.NoError(t, err)
			closetest.Slices(t, a, b, 2e-3, want.Name)
		}
		require.NoError(t, file.Close())

		m, err := diffusioninst.Load(context.Background(), out, diffusioninst.LoadOptions{})
		require.NoError(t, err)
		require.Equal(t, 3, m.Config().Sampling.Steps)
		require.Equal(t, 9, m.Config().Proposals)
		require.Equal(t, 0.25, m.Config().MaskScore)
		require.Equal(t, 0.75, m.Config().Ensemble.Consensus)
		require.Equal(t, diffusioninst.Input{Scale: 1}.Scale, m.Config().Input.Scale)
		require.Equal(t, []float64{1, 1.5}, m.Config().Input.Scales.Factors)
		stdout, err = program(t, "info", out)
		require.NoError(t, err)
		require.Regexp(t, `sizes +several, .* multiplied by 1, 1\.5 `, stdout)
		require.Regexp(t, `consensus +of several steps or samples: masks that overlap by 0\.75 `, stdout)
		require.NoError(t, m.Close())
	}
	require.Equal(t, before, torch.Live())
}

// A plain copy finds what the original finds.
func TestExportChangesNothingUnasked(t *testing.T) {
	dir := t.TempDir()
	in, copied, picture := filepath.Join(dir, "in.safetensors"), filepath.Join(dir, "copy.pth"), filepath.Join(dir, "a.png")
	require.NoError(t, os.WriteFile(in, miniCheckpoint(t), 0o666))
	savePNG(t, picture, 3)
	_, err := program(t, "export", "--weights", in, "--out", copied, "--classes", "a,b,c,d,e")
	require.Error(t, err)
	_, err = program(t, "export", "--weights", in, "--out", copied)
	require.NoError(t, err)
	var found [][]coco.Result
	for _, weights := range []string{in, copied} {
		out := filepath.Join(dir, "out")
		_, err := program(t, "segment", "--weights", weights, "--device", "cpu", "--score", "0.01", "--format", "results", "--output", out, picture)
		require.NoError(t, err)
		results, err := coco.LoadResults(filepath.Join(out, "results.json"))
		require.NoError(t, err)
		found = append(found, results)
	}
	require.NotEmpty(t, found[0])
	require.Equal(t, found[0], found[1])
}

// What is not true of the file that is written is not in it.
func TestExportOfOtherSettings(t *testing.T) {
	dir := t.TempDir()
	in, first := filepath.Join(dir, "in.safetensors"), filepath.Join(dir, "first.safetensors")
	require.NoError(t, os.WriteFile(in, miniCheckpoint(t), 0o666))
	_, err := program(t, "export", "--weights", in, "--out", first, "--mask-score", "0.25", "--note", "accuracy=AP 0.5", "--note", "data=mine")
	require.NoError(t, err)
	for _, c := range []struct {
		flags    []string
		accuracy string
		score    float64
	}{
		{nil, "AP 0.5", 0.25},
		{[]string{"--half"}, "AP 0.5", 0.25},
		{[]string{"--steps", "1"}, "AP 0.5", 0.25}, // as they are
		{[]string{"--steps", "3"}, "", 0.25},
		{[]string{"--scales", "1,2"}, "", 0.25},
		{[]string{"--proposals", "7"}, "", 0.25},
		{[]string{"--mask-score", "0"}, "", 0},
		{[]string{"--consensus", "0.75"}, "", 0.25},
		{[]string{"--mask-score", "-1", "--note", "accuracy=AP 0.4"}, "AP 0.4", 0},
	} {
		out := filepath.Join(dir, "out.safetensors")
		said, err := program(t, append([]string{"export", "--weights", first, "--out", out}, c.flags...)...)
		require.NoError(t, err)
		require.Equal(t, c.accuracy == "", strings.Contains(said, "without the note accuracy"), said)
		file, err := checkpoint.Open(out)
		require.NoError(t, err)
		require.Equal(t, c.accuracy, file.Metadata["accuracy"], c.flags)
		require.Equal(t, "mine", file.Metadata["data"])
		require.NoError(t, file.Close())
		m, err := diffusioninst.Load(context.Background(), out, diffusioninst.LoadOptions{})
		require.NoError(t, err)
		require.Equal(t, c.score, m.Config().MaskScore)
		require.NoError(t, m.Close())
	}
}

func TestExportForTheOfficialCode(t *testing.T) {
	for weights, want := range map[string]string{"builtin:nuclei": "does not know MASK_UPSAMPLE, REL_COORDS,", "mini": ""} {
		dir := t.TempDir()
		if weights == "mini" {
			weights = filepath.Join(dir, "in.safetensors")
			require.NoError(t, os.WriteFile(weights, miniCheckpoint(t), 0o666))
		}
		_, stderr, err := runProgram(nil, "export", "--weights", weights, "--out", filepath.Join(dir, "out.pth"))
		require.NoError(t, err)
		require.Contains(t, stderr, want)
		require.Equal(t, want != "", strings.Contains(stderr, "official code"))
	}
}

func TestExportRefuses(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.safetensors"), filepath.Join(dir, "out.safetensors")
	require.NoError(t, os.WriteFile(in, miniCheckpoint(t), 0o666))
	for want, args := range map[string][]string{
		"must end in":           {"--weights", in, "--out", filepath.Join(dir, "out.pkl")},
		"--steps 0":             {"--weights", in, "--out", out, "--steps", "0"},
		"--proposals -1":        {"--weights", in, "--out", out, "--proposals", "-1"},
		"--classes has 1 names": {"--weights", in, "--out", out, "--classes", "cat"},
		`both called "cat"`:     {"--weights", in, "--out", out, "--classes", "cat,b,c,d,cat"},
		"class 1 has no name":   {"--weights", in, "--out", out, "--classes", "a,,c,d,e"},
		"KEY=VALUE":             {"--weights", in, "--out", out, "--note", "no value"},
		"other than":            {"--weights", in, "--out", out, "--note", checkpoint.ConfigKey + "={}"},
		"builtin:none":          {"--weights", "builtin:none", "--out", out},
		"none.pth":              {"--weights", filepath.Join(dir, "none.pth"), "--out", out},
		"none.yaml":             {"--weights", in, "--out", out, "--config", filepath.Join(dir, "none.yaml")},
		"not a checkpoint":      {"--weights", "export_test.go", "--out", out},
		"no such file or d":     {"--weights", in, "--out", filepath.Join(dir, "none", "out.pth")},
	} {
		_, err := program(t, append([]string{"export"}, args...)...)
		require.ErrorContains(t, err, want)
		require.NoFileExists(t, out)
	}
}
