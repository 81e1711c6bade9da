//go:build cgo && unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// Every command refuses at once what is not a file, whichever argument names it. A command
// that waited for a writer of the pipe would keep this test until its time is up.
func TestOnlyFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "pipe.json")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	config := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte("_BASE_: /dev/zero\n"), 0o600))
	truth := filepath.Join(golden.Dir("cocoeval"), "gt.json")
	out := filepath.Join(dir, "out")
	for _, args := range [][]string{
		{"info", fifo},
		{"data", "info", fifo},
		{"data", "show", fifo, "--images", dir, "--out", out},
		{"eval", "--gt", fifo, "--dets", fifo},
		{"eval", "--gt", truth, "--dets", "/dev/zero"},
		{"convert", fifo, out, "--to", "coco"},
		{"convert", fifo, out, "--to", "coco", "--from", "coco"},
		{"convert", dir, out, "--to", "coco", "--from", "labelme"},
		{"convert", fifo, out, "--to", "coco", "--from", "masks"},
		{"convert", "--gt", "/dev/zero", fifo, out, "--to", "coco"},
		{"segment", "--weights", "untrained", "--config", fifo, "--output", out, truth},
		{"segment", "--weights", "untrained", "--config", config, "--output", out, truth},
		{"segment", "--weights", fifo, "--output", out, truth},
		{"segment", "--weights", "builtin:nuclei", "--gt", fifo, "--output", out, truth},
		{"segment", "--weights", "builtin:nuclei", "--output", out, fifo},
		{"test", "--weights", "builtin:nuclei", "--gt", "/dev/zero", "--images", dir},
		{"train", "--config", fifo, "--train", truth, "--images", dir, "--out", out},
		{"train", "--config", config, "--train", truth, "--images", dir, "--out", out},
	} {
		_, stderr, err := runProgram(nil, args...)
		require.Error(t, err, args)
		require.Regexp(t, "named pipe|device|not a regular file|not a file", err.Error()+stderr, args)
	}
}
