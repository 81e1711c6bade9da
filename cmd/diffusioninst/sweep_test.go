//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/sampler"
)

func readSweep(t *testing.T, dir string) sweepLog {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "sweep.json"))
	require.NoError(t, err)
	var l sweepLog
	require.NoError(t, json.Unmarshal(text, &l))
	return l
}

func TestSweepResumes(t *testing.T) {
	file, folder := shapesSet(t, 2)
	out := filepath.Join(t.TempDir(), "out")
	args := append([]string{"sweep", "--gt", file, "--images", folder, "--out", out, "--steps", "1,2", "--proposals", "10,20"}, miniModel()...)
	text, err := program(t, append(args, "--samplers", "ddim")...)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	require.Len(t, lines, 5)
	require.Contains(t, lines[0], "s/picture")
	require.Contains(t, lines[1], "DDIM(η=1)")
	first := readSweep(t, out)
	require.Len(t, first.Runs, 4)
	for _, r := range first.Runs {
		require.Positive(t, r.Seconds)
		require.Contains(t, r.Metrics, "AP75")
	}
	plot, err := picture.Open(filepath.Join(out, "sweep.png"), picture.Options{})
	require.NoError(t, err)
	require.Greater(t, plot.Bounds().Dx(), 300)

	// What is done is not done again, as the times show; what is new is added.
	text, err = program(t, append(args, "--samplers", "dpm++2m,ddim,ddim:1")...)
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSpace(text), "\n"), 9)
	second := readSweep(t, out)
	require.Len(t, second.Runs, 8)
	require.Equal(t, first.Runs, second.Runs[:4])
	require.Equal(t, "DPM-Solver++(2M)", second.Runs[4].Sampler)

	for setting, change := range map[string][]string{
		"seed (0, now 5)": {"--seed", "5"}, "pictures (2, now 1)": {"--limit-images", "1"},
		"score (-1, now 0.1)": {"--score", "0.1"}, "iou (segm, now bbox)": {"--iou", "bbox"},
		"now 1, 0.5)": {"--scales", "1,0.5"}, "now -1)": {"--tile", "-1"}, `crowd ("", now object)`: {"--crowd", "object"},
	} {
		_, err = program(t, append(args, change...)...)
		require.ErrorContains(t, err, setting)
	}
	require.Equal(t, second, readSweep(t, out))
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no part of a file is left")
}

func TestSweepErrors(t *testing.T) {
	file, folder := shapesSet(t, 1)
	out := t.TempDir()
	for want, flags := range map[string][]string{
		"not one of ddim, ddpm, euler": {"--samplers", "ddim,plms"},
		"only ddim and dpm++2m":        {"--samplers", "heun:0.5"},
		"want η from 0 to 1":           {"--samplers", "ddim:2"},
		"--steps 0":                    {"--steps", "1,0"},
		"--proposals -3":               {"--proposals", "-3"},
		"not segm":                     {"--iou", "mask"},
		"not coco":                     {"--style", "voc"},
		"5000 steps":                   {"--steps", "5000"},
	} {
		_, err := program(t, append(append([]string{"sweep", "--gt", file, "--images", folder, "--out", out}, flags...), miniModel()...)...)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.WriteFile(filepath.Join(out, "sweep.json"), []byte("{"), 0o666))
	_, err := program(t, append([]string{"sweep", "--gt", file, "--images", folder, "--out", out}, miniModel()...)...)
	require.ErrorContains(t, err, "not the log of a sweep")
}

func TestParseSampler(t *testing.T) {
	for text, want := range map[string]sampler.Sampler{
		"ddim": sampler.DDIM{Eta: 1}, "DDIM:0": sampler.DDIM{}, "ddpm": sampler.DDPM{}, "euler": sampler.Euler{}, " heun": sampler.Heun{},
		"dpm++2m": sampler.DPMSolver2M{}, "dpm++2m:0.5": sampler.DPMSolver2M{Eta: 0.5}, "dpm++2m-sde": sampler.DPMSolver2M{Eta: 1}, "restart": sampler.Restart{},
	} {
		got, err := parseSampler(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "ddi", "ddim:", "ddim:x", "euler:1", "dpm++2m:-1"} {
		_, err := parseSampler(bad)
		require.Error(t, err, bad)
	}
}

// TestPlotOfMany draws a sweep whose curves cross; with nothing to find it is empty.
func TestPlotOfMany(t *testing.T) {
	l := &sweepLog{Settings: map[string]string{"iou": "segm", "pictures": "500"}}
	for _, name := range []string{"DDIM(η=1)", "DPM-Solver++(2M)", "Restart"} {
		for _, n := range []int{100, 300} {
			for i, steps := range []int{1, 2, 4} {
				ap := 0.3 + 0.02*float64(i*len(name))/16 + 0.0002*float64(n)
				l.Runs = append(l.Runs, sweepRun{name, steps, n, 0.2 + 0.1*float64(steps) + 0.0005*float64(n), 9, map[string]float64{"AP": ap}})
			}
		}
	}
	path := filepath.Join(t.TempDir(), "many.png")
	require.NoError(t, plotSweep(path, l))
	many, err := picture.Open(path, picture.Options{})
	require.NoError(t, err)
	for i := range l.Runs {
		l.Runs[i].Metrics = map[string]float64{"AP": -1}
	}
	require.NoError(t, plotSweep(path+"2.png", l))
	none, err := picture.Open(path+"2.png", picture.Options{})
	require.NoError(t, err)
	require.NotEqual(t, picture.RGB(many), picture.RGB(none))
}

// stopAfter cancels when a text is written.
type stopAfter struct {
	text   string
	cancel context.CancelFunc
}

func (s stopAfter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		s.cancel()
	}
	return len(p), nil
}

func TestInterruptedSweepGoesOn(t *testing.T) {
	file, folder := shapesSet(t, 1)
	out := t.TempDir()
	args := append([]string{"sweep", "--gt", file, "--images", folder, "--out", out, "--steps", "1,2", "--samplers", "euler"}, miniModel()...)
	ctx, cancel := context.WithCancel(t.Context())
	root := newRoot()
	root.SetOut(io.Discard)
	root.SetErr(stopAfter{"Euler, 1 step,", cancel})
	root.SetArgs(args)
	require.ErrorIs(t, root.ExecuteContext(ctx), context.Canceled)
	first := readSweep(t, out)
	require.Len(t, first.Runs, 1)
	_, err := program(t, args...)
	require.NoError(t, err)
	second := readSweep(t, out)
	require.Len(t, second.Runs, 2)
	require.Equal(t, first.Runs[0], second.Runs[0])
}
