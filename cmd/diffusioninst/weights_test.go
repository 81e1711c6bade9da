//go:build cgo

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/torch"
)

// miniCheckpoint is a golden case's model as a safetensors file that says how it samples.
func miniCheckpoint(t *testing.T) []byte {
	t.Helper()
	dir := golden.Dir("mini_r50s_1step")
	config, _, err := diffusioninst.LoadConfig(filepath.Join(dir, "config.yaml"))
	require.NoError(t, err)
	config.Proposals = 17
	config.Input = diffusioninst.Input{Scale: 1}
	text, err := json.Marshal(config)
	require.NoError(t, err)
	var sources []checkpoint.Source
	for _, w := range golden.Weights(t, dir) {
		sources = append(sources, checkpoint.Source{Name: w.Name, DType: checkpoint.Float32, Shape: w.Shape, WriteTo: func(out io.Writer) error {
			return binary.Write(out, binary.LittleEndian, w.Values())
		}})
	}
	var b bytes.Buffer
	require.NoError(t, checkpoint.WriteSafetensors(&b, sources, map[string]string{checkpoint.ConfigKey: string(text), "licence": "none at all"}))
	return b.Bytes()
}

// withBuiltin puts a checkpoint into the program while a test runs.
func withBuiltin(t *testing.T, name string, data []byte) {
	t.Helper()
	require.NotContains(t, builtins, name)
	builtins[name] = func() *io.SectionReader { return io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))) }
	t.Cleanup(func() { delete(builtins, name) })
}

// A built-in checkpoint is taken wherever a file is, and does what the file does.
func TestBuiltinIsTakenLikeAFile(t *testing.T) {
	before := torch.Live()
	data := miniCheckpoint(t)
	withBuiltin(t, "mini", data)
	dir := t.TempDir()
	file := filepath.Join(dir, "mini.safetensors")
	require.NoError(t, os.WriteFile(file, data, 0o666))
	truth, folder := shapesSet(t, 2)
	picture := filepath.Join(folder, "train", "0.png")

	var segmented [][]coco.Result
	var tested, swept []string
	for i, weights := range []string{file, "builtin:mini"} {
		out := filepath.Join(dir, []string{"file", "builtin"}[i])
		_, stderr, err := runProgram(nil, "segment", "--weights", weights, "--device", "cpu", "--score", "0.01", "--output", out, "--format", "results", picture)
		require.NoError(t, err)
		require.Empty(t, stderr)
		results, err := coco.LoadResults(filepath.Join(out, "results.json"))
		require.NoError(t, err)
		segmented = append(segmented, results)

		metrics, _, err := runProgram(nil, "test", "--weights", weights, "--device", "cpu", "--gt", truth, "--images", folder, "--json")
		require.NoError(t, err)
		tested = append(tested, metrics)

		// What was made with the file goes on with the built-in one: they are the same.
		_, _, err = runProgram(nil, "sweep", "--weights", weights, "--device", "cpu", "--gt", truth, "--images", folder, "--steps", "1",
			"--out", filepath.Join(dir, "sweep"))
		require.NoError(t, err)
		text, err := os.ReadFile(filepath.Join(dir, "sweep", "sweep.json"))
		require.NoError(t, err)
		swept = append(swept, string(text))
	}
	require.NotEmpty(t, segmented[0])
	require.LessOrEqual(t, len(segmented[0]), 17, "the checkpoint's own configuration counts")
	require.Equal(t, segmented[0], segmented[1])
	require.Equal(t, tested[0], tested[1])
	require.Equal(t, swept[0], swept[1])
	require.Equal(t, before, torch.Live())
}

func TestInfoOfABuiltin(t *testing.T) {
	withBuiltin(t, "mini", miniCheckpoint(t))
	positional, err := program(t, "info", "builtin:mini")
	require.NoError(t, err)
	require.Regexp(t, `file +builtin:mini\n`, positional)
	require.Regexp(t, `licence +none at all\n`, positional)
	require.Regexp(t, `classes +80: person, `, positional)
	require.Regexp(t, `proposals +17 boxes, denoised in 1 step\n`, positional)
	require.Regexp(t, `input +pictures at their own size\n`, positional)
	require.Regexp(t, `tiles +none: `, positional)
	require.NotContains(t, positional, `"Proposals"`, "the configuration is for programs")
	flag, err := program(t, "info", "--weights", "builtin:mini")
	require.NoError(t, err)
	require.Equal(t, positional, flag)
	text, err := program(t, "info", "--json", "builtin:mini")
	require.NoError(t, err)
	require.Contains(t, text, `\"Proposals\":17`)
	for _, args := range [][]string{{}, {"a", "b"}, {"builtin:mini", "--weights", "builtin:mini"}} {
		_, err := program(t, append([]string{"info"}, args...)...)
		require.ErrorContains(t, err, "takes one checkpoint or data set")
	}
}

func TestUnknownBuiltinIsNamed(t *testing.T) {
	old := builtins
	t.Cleanup(func() { builtins = old })
	builtins = map[string]func() *io.SectionReader{}
	withBuiltin(t, "b", nil)
	withBuiltin(t, "a", []byte("no checkpoint"))
	for _, args := range [][]string{
		{"info", "builtin:nothing"},
		{"segment", "--weights", "builtin:nothing", "--device", "cpu", "--output", t.TempDir(), "../../examples/segment_image/nuclei.png"},
	} {
		_, err := program(t, args...)
		require.EqualError(t, err, "builtin:nothing: not one of the built-in models (builtin:a, builtin:b)")
	}
	_, err := program(t, "info", "builtin:a")
	require.ErrorIs(t, err, checkpoint.ErrNotCheckpoint)
	require.ErrorContains(t, err, "builtin:a")
	_, err = program(t, "segment", "--weights", "builtin:a", "--device", "cpu", "--output", t.TempDir(), "../../examples/segment_image/nuclei.png")
	require.ErrorIs(t, err, checkpoint.ErrNotCheckpoint)
	require.ErrorContains(t, err, "builtin:a")
	usage, err := program(t, "segment", "--help")
	require.NoError(t, err)
	require.Contains(t, usage, "builtin:a, builtin:b")
}
