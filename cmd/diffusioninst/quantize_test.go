//go:build cgo

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// What quantize writes is the checkpoint with ranges, which serves every precision.
func TestQuantize(t *testing.T) {
	before := torch.Live()
	dir := t.TempDir()
	in, pictures, out := filepath.Join(dir, "in.safetensors"), filepath.Join(dir, "pictures"), filepath.Join(dir, "out.safetensors")
	require.NoError(t, os.WriteFile(in, miniCheckpoint(t), 0o666))
	require.NoError(t, os.Mkdir(pictures, 0o755))
	savePNG(t, filepath.Join(pictures, "a.png"), 1)
	savePNG(t, filepath.Join(pictures, "b.png"), 2)
	require.NoError(t, os.WriteFile(filepath.Join(pictures, "broken.png"), []byte("\x89PNG\r\n\x1a\n"), 0o666))

	stdout, stderr, err := runProgram(nil, "quantize", "--weights", in, "--out", out, "--note", "by=hand", "--scales", "1,2", pictures)
	require.NoError(t, err)
	require.Regexp(t, `out.safetensors: \d+ tensors, [\d.]+ MB, ranges of [1-9]\d* convolutions from 2 pictures`, stdout)
	require.Contains(t, stderr, "broken.png: left out: ")
	require.Contains(t, stderr, "the ranges are those of 2 pictures")
	info, err := program(t, "info", out)
	require.NoError(t, err)
	require.Regexp(t, `int8 +ranges of [1-9]\d* convolutions, for --precision int8`, info)
	require.Regexp(t, `by +hand`, info)
	require.Regexp(t, `calibration +2 pictures, --scales 1`, info)

	segment := func(weights, precision string) error {
		_, _, err := runProgram(nil, "segment", "--weights", weights, "--precision", precision, "--device", "cpu", "--score", "-1", "--output", filepath.Join(dir, "found"), filepath.Join(pictures, "a.png"))
		return err
	}
	require.NoError(t, segment(out, "float32"))
	if torch.HasInt8() {
		require.NoError(t, segment(out, "int8"))
		require.ErrorContains(t, segment(in, "int8"), "diffusioninst quantize finds them on pictures")
	} else {
		require.ErrorContains(t, segment(out, "int8"), "it is for processors with AVX512-VNNI")
	}

	for want, args := range map[string][]string{
		"--weights untrained: there is no file": {"--weights", "untrained", "--out", out, pictures},
		"want KEY=VALUE":                        {"--weights", in, "--out", out, "--note", "x", pictures},
		"must end in .safetensors or .pth":      {"--weights", in, "--out", filepath.Join(dir, "x.pt2"), pictures},
		"none of 1 picture could be segmented":  {"--weights", in, "--out", out, filepath.Join(pictures, "broken.png")},
		"unknown flag: --precision":             {"--weights", in, "--precision", "bfloat16", "--out", out, pictures},
		"requires at least 1 arg":               {"--weights", in, "--out", out},
	} {
		_, _, err := runProgram(nil, append([]string{"quantize"}, args...)...)
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, before, torch.Live())
}
