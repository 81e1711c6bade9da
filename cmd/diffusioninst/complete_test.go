package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.pth", "b.safetensors", "c.txt", ".d.pth", "e.ckpt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "more"), 0o777))
	t.Chdir(dir)
	for _, test := range []struct{ line, want string }{
		{"convert --from |", strings.Join(inputFormats, " ")},
		{"convert --to lab|", "labelme labelmap labels labeltiff"},
		{"eval --iou s|", "segm"},
		{"convert --crowd |", "ignore object"},
		{"eval --iou segm,|", "segm,bbox segm,boundary"},
		{"info --weights |", "a.pth b.safetensors e.ckpt more/"},
		{"info b|", "b.safetensors"},
		{"info " + dir + "/m|", dir + "/more/"},
	} {
		words := strings.Split(strings.TrimSuffix(test.line, "|"), " ")
		out, err := program(t, append([]string{"__complete"}, words...)...)
		require.NoError(t, err)
		values := strings.Split(strings.TrimSpace(out), "\n")
		values = values[:len(values)-1] // the last line is for the shell
		if len(values) > 0 && values[0] == "builtin:nuclei" {
			values = values[1:]
		}
		require.Equal(t, test.want, strings.Join(values, " "), test.line)
	}
	if len(modelCommands) == 0 {
		return
	}
	for line, want := range map[string]string{
		"segment --weights bui": "builtin:nuclei\n", "segment --device c": "cpu\ncuda\n", "sweep --samplers ddim,he": "ddim,heun\n",
		"train --precision ": "float32\nbfloat16\nfloat16\n", "segment --precision ": "auto\nfloat32\nbfloat16\nfloat16\n", "test --ema o": "on\noff\n", "segment --norm ": "auto\nnone\n", "segment --format coco,res": "coco,results\n",
	} {
		out, err := program(t, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(out, want), "%s: %s", line, out)
	}
}
