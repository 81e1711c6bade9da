//go:build cgo

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/picture"
)

// The range of intensity that a model was trained with holds for it in segment and test, unless
// --norm overrides it.
func TestNormTravelsFromTrainingToUse(t *testing.T) {
	args, out := tinyRun(t, ""), t.TempDir()
	_, err := program(t, append(args, "--val", "", "--steps", "1", "--norm", "60,140", "--out", out)...)
	require.NoError(t, err)
	truth := args[4]
	for _, name := range []string{"model.safetensors", "model.pth", "last.safetensors"} {
		weights := filepath.Join(out, name)
		m, err := diffusioninst.Load(t.Context(), weights, diffusioninst.LoadOptions{})
		require.NoError(t, err)
		require.Equal(t, picture.Normalize("60,140"), m.Config().Input.Normalize, name)
		require.NoError(t, m.Close())
	}
	weights := filepath.Join(out, "model.safetensors")
	found := func(command string, more ...string) string {
		at := filepath.Join(t.TempDir(), "results")
		args := append([]string{command, "--weights", weights, "--device", "cpu", "--threads", "1", "--score", "-1"}, more...)
		if command == "test" {
			args = append(args, "--gt", truth, "--dets", at)
		} else {
			args = append(args, "--format", "results", "--output", at, filepath.Join(filepath.Dir(truth), "0001.png"))
			at = filepath.Join(at, "results.json")
		}
		_, _, err := runProgram(nil, args...)
		require.NoError(t, err)
		text, err := os.ReadFile(at)
		require.NoError(t, err)
		return string(text)
	}
	for _, command := range []string{"segment", "test"} {
		stored := found(command)
		require.Equal(t, stored, found(command, "--norm", "60,140"), command)
		require.NotEqual(t, stored, found(command, "--norm", "auto"), command)
	}
}
