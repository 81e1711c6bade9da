//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// miniModel are the flags of an untrained model that takes milliseconds.
func miniModel() []string {
	return []string{"--weights", "untrained", "--config", filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml"), "--device", "cpu"}
}

func TestTestPrintsWhatEvalDoes(t *testing.T) {
	file, folder := shapesSet(t, 3)
	dets := filepath.Join(t.TempDir(), "dets.json")
	args := append([]string{"test", "--gt", file, "--images", folder, "--dets", dets, "--iou", "segm,bbox"}, miniModel()...)
	got, err := program(t, args...)
	require.NoError(t, err)
	want, err := program(t, "eval", "--gt", file, "--dets", dets, "--iou", "segm,bbox")
	require.NoError(t, err)
	require.Contains(t, got, "segm, COCO, percent")
	require.Equal(t, want, got)
	results, err := coco.LoadResults(dets)
	require.NoError(t, err)
	require.NotEmpty(t, results)

	// Each picture's noise comes from its id: fewer pictures change nothing about the first.
	one, tta := filepath.Join(t.TempDir(), "one.json"), filepath.Join(t.TempDir(), "tta.json")
	out, err := program(t, append(args, "--dets", one, "--limit-images", "1", "--json")...)
	require.NoError(t, err)
	var metrics map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &metrics))
	require.Contains(t, metrics["bbox"], "AP50")
	first, err := coco.LoadResults(one)
	require.NoError(t, err)
	require.NotEmpty(t, first)
	require.Equal(t, results[:len(first)], first)
	_, err = program(t, append(args, "--dets", tta, "--limit-images", "1", "--tta", "80,flip")...)
	require.NoError(t, err)
	views, err := coco.LoadResults(tta)
	require.NoError(t, err)
	require.NotEmpty(t, views)
	require.NotEqual(t, first, views)
}

// perfect finds what a data set says, as the model's classes 2, 0 and 1, and
// something of class 3, which the data set has not.
func perfect(t *testing.T, set *evaluation.Set) evaluation.Segment {
	next := 0
	return func(_ context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error) {
		m := set.Images[next]
		require.Equal(t, 100+uint64(m.ID), o.Seed)
		next++
		r := &diffusioninst.Result{Width: m.Width, Height: m.Height}
		r.Instances = append(r.Instances, diffusioninst.Instance{Class: 3, Score: 0.9, Mask: mask.NewBitmap(m.Width, m.Height)})
		for _, a := range set.Data.Annotations {
			if a.ImageID != m.ID {
				continue
			}
			rle, err := a.Segmentation.RLE(m.Width, m.Height)
			require.NoError(t, err)
			b := a.BBox
			r.Instances = append(r.Instances, diffusioninst.Instance{
				Class: []int{2, 0, 1}[a.CategoryID-1], Score: 0.5, Mask: rle.Bitmap(),
				Box: diffusioninst.Box{X1: float32(b[0]), Y1: float32(b[1]), X2: float32(b[0] + b[2]), Y2: float32(b[1] + b[3])},
			})
		}
		return r, nil
	}
}

func TestPerfectDetectionsHaveFullPrecision(t *testing.T) {
	file, folder := shapesSet(t, 4)
	set, err := evaluation.Open(file, folder, 2)
	require.NoError(t, err)
	set.Data.Categories = set.Data.Categories[:3]
	require.Equal(t, []int64{10, 9}, set.IDs())
	require.NoError(t, set.Match([]string{"bicycle", "car", "person", "crater"}, nil))
	calls := 0
	results, took, err := set.Run(t.Context(), perfect(t, set), diffusioninst.Options{Seed: 100}, func() { calls++ })
	require.NoError(t, err)
	require.Equal(t, 2, calls)
	require.Positive(t, took)
	for _, iou := range []coco.IoU{coco.Segm, coco.BBox, coco.Boundary} {
		report, err := coco.Evaluate(t.Context(), set.Data, results, coco.Options{IoU: iou, Images: set.IDs()})
		require.NoError(t, err)
		ap, _ := report.Metric("AP")
		require.InDelta(t, 1, ap, 1e-9, iou)
	}
}

func TestTestErrors(t *testing.T) {
	file, folder := shapesSet(t, 3)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := func(from, to string) string {
		require.Contains(t, string(text), from)
		path := filepath.Join(t.TempDir(), "changed.json")
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), from, to)), 0o666))
		return path
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "broken.png"), []byte("\x89PNG\r\n\x1a\n and no more"), 0o666))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"missing pictures": {[]string{"--gt", file, "--images", t.TempDir()}, "and 2 more pictures are missing"},
		"missing picture":  {[]string{"--gt", changed("train/1.png", "train/7.png"), "--images", folder}, "image 9"},
		"broken picture":   {[]string{"--gt", changed("train/1.png", "broken.png"), "--images", folder}, "broken.png"},
		"another size":     {[]string{"--gt", changed(`"width":104`, `"width":105`), "--images", folder}, "segmentation of 104×72 pixels on an image of 105×72"},
		"path outside":     {[]string{"--gt", changed("train/1.png", "../1.png"), "--images", folder}, "leaves the folder"},
		"unknown class":    {[]string{"--gt", changed("bicycle", "unicycle"), "--images", folder}, "unicycle"},
		"not LVIS":         {[]string{"--gt", file, "--images", folder, "--style", "lvis"}, "neg_category_ids"},
		"iou":              {[]string{"--gt", file, "--images", folder, "--iou", "mask"}, "not segm"},
		"views":            {[]string{"--gt", file, "--images", folder, "--tta", "flop"}, "flop"},
		"limit":            {[]string{"--gt", file, "--images", folder, "--limit-images", "-1"}, "a limit of -1 pictures"},
		"no data set":      {[]string{"--gt", "none.json", "--images", folder}, "none.json"},
	} {
		_, err := program(t, append(append([]string{"test"}, c.args...), miniModel()...)...)
		require.ErrorContains(t, err, c.want, name)
	}
	set, err := evaluation.Open(changed("train/1.png", "broken.png"), folder, 0)
	require.NoError(t, err)
	_, err = set.Images[1].Open()
	var e *picture.Error
	require.True(t, errors.As(err, &e))
	require.ErrorIs(t, err, picture.ErrTruncated)
}

func TestParseViews(t *testing.T) {
	got, err := parseViews([]string{"640", "flip", "800"})
	require.NoError(t, err)
	require.Equal(t, diffusioninst.Augment{Scales: []int{640, 800}, Flip: true}, got)
	got, err = parseViews(nil)
	require.NoError(t, err)
	require.Zero(t, got)
	for _, bad := range []string{"0", "-5", "flop", "1.5", ""} {
		_, err := parseViews([]string{bad})
		require.ErrorContains(t, err, "--tta "+bad)
	}
}

func TestSegmentInViews(t *testing.T) {
	_, folder := shapesSet(t, 1)
	find := func(flags ...string) []coco.Result {
		out := t.TempDir()
		_, err := program(t, append(append([]string{"segment", folder, "--output", out, "--format", "results"}, miniModel()...), flags...)...)
		require.NoError(t, err)
		results, err := coco.LoadResults(filepath.Join(out, "results.json"))
		require.NoError(t, err)
		require.NotEmpty(t, results)
		return results
	}
	plain := find()
	require.Equal(t, plain, find("--tta", "96"), "the model's own size")
	require.NotEqual(t, plain, find("--tta", "flip"))
}

// What test finds is the truth here, so that a score is chosen and all is found from it on.
func TestTestChoosesAScore(t *testing.T) {
	file, folder := shapesSet(t, 2)
	dets, truth := filepath.Join(t.TempDir(), "dets.json"), filepath.Join(t.TempDir(), "truth.json")
	model := append(miniModel(), "--images", folder, "--limit", "5")
	_, err := program(t, append([]string{"test", "--gt", file, "--dets", dets}, model...)...)
	require.NoError(t, err)
	_, err = program(t, "convert", "--gt", file, "--to", "coco", dets, truth)
	require.NoError(t, err)
	out, stderr, err := runProgram(nil, append([]string{"test", "--gt", file, "--choose-score", truth, "--choose-images", folder}, model...)...)
	require.NoError(t, err)
	require.Contains(t, stderr, "on the 2 pictures of "+truth)
	require.Contains(t, stderr, "2 pictures reached the limit of 5 detections")
	require.Contains(t, out, "matching from a score of ")
	_, err = program(t, append([]string{"test", "--gt", file, "--at-score", "0.3", "--score", "0.4"}, model...)...)
	require.ErrorContains(t, err, "--at-score 0.3 is below --score 0.4")
}

func TestTestInSizesAndRestarts(t *testing.T) {
	file, folder := shapesSet(t, 1)
	run := func(flags ...string) (string, error) {
		dets := filepath.Join(t.TempDir(), "dets.json")
		args := append([]string{"test", "--gt", file, "--images", folder, "--dets", dets, "--limit", "20"}, miniModel()...)
		_, err := program(t, append(args, flags...)...)
		if err != nil {
			return "", err
		}
		text, err := os.ReadFile(dets)
		return string(text), err
	}
	plain, err := run()
	require.NoError(t, err)
	same, err := run("--scales", "1", "--restarts", "1")
	require.NoError(t, err)
	require.Equal(t, plain, same)
	for _, flags := range [][]string{{"--scales", "1,0.5"}, {"--restarts", "2"}, {"--steps", "2", "--consensus", "0.5"}} {
		other, err := run(flags...)
		require.NoError(t, err)
		require.NotEqual(t, plain, other, flags)
	}
	for want, flags := range map[string][]string{
		"given twice":         {"--scales", "1,1"},
		"give one of the two": {"--scales", "1,2", "--tta", "64"},
		"at least 1 is":       {"--restarts", "0"},
		"at most 1":           {"--consensus", "2"},
		"and this is one":     {"--consensus", "0.5", "--scales", "1,0.5"},
	} {
		_, err := run(flags...)
		require.ErrorContains(t, err, want)
	}
}

// A picture that cannot be read is left out, of the figures, too, wherever it is in the list.
func TestPicturesThatAreSkipped(t *testing.T) {
	for broken := range 3 {
		file, folder := shapesSet(t, 3)
		require.NoError(t, os.WriteFile(filepath.Join(folder, "train", fmt.Sprintf("%d.png", broken)), []byte("nothing"), 0o666))
		args := append([]string{"--gt", file, "--images", folder, "--on-error", "skip"}, miniModel()...)
		_, stderr, err := runProgram(nil, append([]string{"test"}, args...)...)
		require.NoError(t, err, stderr)
		require.Contains(t, stderr, "2 pictures, ")
		require.Contains(t, stderr, fmt.Sprintf("%d.png", broken))
		text, err := program(t, append([]string{"sweep", "--steps", "1", "--proposals", "10", "--samplers", "ddim", "--out", t.TempDir()}, args...)...)
		require.NoError(t, err)
		require.Contains(t, text, "DDIM")
	}
}

// Sizes that nobody asked for are noted once, with their cost.
func TestAModelsOwnSizesAreSaid(t *testing.T) {
	dir := t.TempDir()
	plain, sized := filepath.Join(dir, "plain.safetensors"), filepath.Join(dir, "sized.safetensors")
	require.NoError(t, os.WriteFile(plain, miniCheckpoint(t), 0o666))
	_, err := program(t, "export", "--weights", plain, "--scales", "1,2", "--out", sized)
	require.NoError(t, err)
	file, folder := shapesSet(t, 1)
	said := func(flags ...string) bool {
		_, stderr, err := runProgram(nil, append([]string{"test", "--gt", file, "--images", folder, "--limit", "5"}, flags...)...)
		require.NoError(t, err, stderr)
		return strings.Contains(stderr, "note: each picture is seen in sizes 1, 2, the model's own setting: up to 5 times the work of --scales 1\n")
	}
	require.True(t, said("--weights", sized))
	require.False(t, said("--weights", sized, "--scales", "1"))
	require.False(t, said("--weights", sized, "--tta", "64"))
	require.False(t, said("--weights", plain))
}
