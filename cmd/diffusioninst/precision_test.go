//go:build cgo

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// The precision that a model takes is in what is written, holds for --resume, and is warned of once
// where it is slow.
func TestPrecision(t *testing.T) {
	if lacking := torch.CPU.CheckPrecision(t.Context(), torch.BFloat16); lacking != nil {
		t.Skip(lacking)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(in, 0o755))
	savePNG(t, filepath.Join(in, "a.png"), 1)
	savePNG(t, filepath.Join(in, "b.png"), 2)
	_, stderr, err := segment(nil, "--precision", "bfloat16", "--format", "html", "--output", out, in)
	require.NoError(t, err)
	warned := 0
	if !torch.FastBFloat16() {
		warned = 1
	}
	require.Equal(t, warned, strings.Count(stderr, "this processor has no AMX: slower than float32"), stderr)
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "<th>--precision<td>bfloat16")

	_, _, err = segment(nil, "--precision", "float32", "--format", "html", "--output", out, "--resume", in)
	require.ErrorContains(t, err, "precision (bfloat16, now float32)")
	_, _, err = segment(nil, "--precision", "bfloat16", "--format", "html", "--output", out, "--resume", in)
	require.NoError(t, err)

	text, err := bench(t, "--precision", "bfloat16", "--size", "64x64", "--steps", "1", "--json")
	require.NoError(t, err)
	var r benchReport
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Equal(t, "bfloat16", r.Precision)
	text, err = bench(t, "--precision", "auto", "--size", "64x64", "--steps", "1")
	require.NoError(t, err)
	auto := "float32"
	if torch.FastBFloat16() {
		auto = "bfloat16"
	}
	require.Contains(t, text, ", "+auto+", on cpu, ")
	_, err = bench(t, "--precision", "float16")
	require.ErrorContains(t, err, "it is for GPUs, and slower than float32 on processors")
}

// Settings that only one of two runs has are a difference, whichever it is.
func TestSameSettings(t *testing.T) {
	require.NoError(t, sameSettings("f", map[string]string{"a": "1"}, map[string]string{"a": "1"}, "x"))
	for _, c := range [][2]map[string]string{
		{{"a": "1"}, {"a": "1", "ema": "on"}}, {{"a": "1", "ema": "on"}, {"a": "1"}}, {{"a": "1"}, {"a": "2"}}, {nil, {"a": "1"}},
	} {
		require.ErrorContains(t, sameSettings("f", c[0], c[1], "x"), "other settings")
	}
}
