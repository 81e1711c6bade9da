//go:build cgo

package main

import (
	"bytes"
	"image"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/torch"
)

// segment runs the segment command with an untrained model that is small.
func segment(stdin []byte, args ...string) (stdout, stderr string, err error) {
	config := filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml")
	return runProgram(stdin, append([]string{"segment", "--weights", "untrained", "--config", config, "--device", "cpu"}, args...)...)
}

func savePNG(t *testing.T, path string, seed uint64) []byte {
	t.Helper()
	return saveNuclei(t, path, simulate.Options{Width: 120, Height: 90, Count: 8, Seed: seed})
}

func saveNuclei(t *testing.T, path string, o simulate.Options) []byte {
	t.Helper()
	img, _ := simulate.Nuclei(o)
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, img))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o666))
	return buf.Bytes()
}

func TestSegmentWritesEveryFormat(t *testing.T) {
	before := torch.Live()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a.png"), filepath.Join(dir, "out")
	data := savePNG(t, in, 1)
	stdout, stderr, err := segment(nil, "--output", out, "--format", "overlay,results,coco,labelme,labelmap,masks", "--trace", filepath.Join(dir, "trace"), "--steps", "2", in)
	require.NoError(t, err)
	require.Contains(t, stderr, "untrained")
	require.Contains(t, stdout, "12 instances")
	for _, name := range []string{"overlay/a.png", "labelme/a.json", "labelmap/a.png", "labelmap/a.json", "masks/a.json"} {
		require.FileExists(t, filepath.Join(out, name))
	}
	results, err := coco.LoadResults(filepath.Join(out, "results.json"))
	require.NoError(t, err)
	require.Len(t, results, 12)
	set, err := coco.Load(filepath.Join(out, "coco.json"))
	require.NoError(t, err)
	require.Len(t, set.Annotations, 12)

	f, err := os.Open(filepath.Join(dir, "trace", "steps.gif"))
	require.NoError(t, err)
	defer f.Close()
	g, err := gif.DecodeAll(f)
	require.NoError(t, err)
	require.Len(t, g.Image, 2)
	require.Equal(t, image.Pt(120, 90+28), openPNG(t, filepath.Join(dir, "trace", "step001.png")).Bounds().Size(), "with a caption")

	// The same picture on standard input gives the same detections.
	_, _, err = segment(data, "--output", filepath.Join(dir, "again"), "--format", "results", "--steps", "2", "-")
	require.NoError(t, err)
	again, err := coco.LoadResults(filepath.Join(dir, "again", "results.json"))
	require.NoError(t, err)
	require.Equal(t, results, again)
	require.Equal(t, before, torch.Live(), "tensors left behind")
}

func TestSegmentOfAFolderGoesOnAfterABrokenPicture(t *testing.T) {
	dir := t.TempDir()
	good := savePNG(t, filepath.Join(dir, "in", "b.png"), 2)
	savePNG(t, filepath.Join(dir, "in", "more", "b.png"), 3)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in", "a.png"), good[:len(good)/2], 0o666))
	out := filepath.Join(dir, "out")
	stdout, stderr, err := segment(nil, "--output", out, filepath.Join(dir, "in"))
	require.ErrorContains(t, err, "1 of 3 pictures could not be segmented")
	require.Contains(t, stderr, filepath.Join(dir, "in", "a.png"))
	require.Contains(t, stdout, "more/b.png")
	require.FileExists(t, filepath.Join(out, "overlay", "b.png"))
	require.FileExists(t, filepath.Join(out, "overlay", "more", "b.png"))
	results, err := coco.LoadResults(filepath.Join(out, "results.json"))
	require.NoError(t, err)
	require.NotEmpty(t, results)
}

// What was found agrees with itself, and not as well with what another seed finds.
func TestSegmentComparesWithTrueMasks(t *testing.T) {
	withBuiltin(t, "mini", miniCheckpoint(t))
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a.png"), filepath.Join(dir, "out")
	savePNG(t, in, 1)
	find := func(args ...string) (string, error) {
		return program(t, append([]string{"segment", "--weights", "builtin:mini", "--device", "cpu", "--score", "0.01", "--limit", "5", in}, args...)...)
	}
	_, err := find("--output", out, "--format", "coco,labelme")
	require.NoError(t, err)
	for _, truth := range []string{"coco.json", "labelme"} {
		stdout, err := find("--output", filepath.Join(dir, "again"), "--gt", filepath.Join(out, truth))
		require.NoError(t, err)
		require.Contains(t, stdout, "a.png: 5 found, 5 true, 5 matched at IoU 0.5 with a mean IoU of 1.000 (precision 1.000, recall 1.000)\n")
		require.FileExists(t, filepath.Join(dir, "again", "comparison", "a.png"))
	}
	stdout, err := find("--output", filepath.Join(dir, "again"), "--gt", filepath.Join(out, "coco.json"), "--seed", "9")
	require.NoError(t, err)
	require.Regexp(t, `a\.png: 5 found, 5 true, [0-4] matched`, stdout)
	_, err = find("--output", out, "--gt", "../../examples/segment_image/nuclei.json")
	require.ErrorContains(t, err, `the model has no class "nucleus"`)
	_, err = find("--output", out, "--gt", filepath.Join(dir, "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSegmentRefusesBadFlags(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "a.png")
	savePNG(t, in, 1)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no proposals":     {[]string{"--proposals", "0", in}, "--proposals 0"},
		"no steps":         {[]string{"--steps", "0", in}, "--steps 0"},
		"negative steps":   {[]string{"--steps", "-3", in}, "--steps -3"},
		"no scale":         {[]string{"--scale", "0", in}, "--scale 0: it must be above 0"},
		"unknown format":   {[]string{"--format", "svg", in}, "svg"},
		"absent device":    {[]string{"--device", "cuda:99", in}, "cuda:99"},
		"unknown device":   {[]string{"--device", "tpu", in}, "tpu"},
		"absent picture":   {[]string{filepath.Join(dir, "none.png")}, "none.png"},
		"absent config":    {[]string{"--config", filepath.Join(dir, "none.yaml"), in}, "none.yaml"},
		"absent weights":   {[]string{"--weights", filepath.Join(dir, "none.pth"), in}, "none.pth"},
		"weights, picture": {[]string{"--weights", in, in}, "PNG"},
		"outlines of none": {[]string{"--polygons", "--format", "overlay,masks", in}, "--polygons has no effect on overlay, masks: it is for coco, labelme"},
		"contours of none": {[]string{"--line-width", "2", "--format", "results", in}, "--line-width has no effect"},
		"crowds of none":   {[]string{"--crowd", "object", in}, "--crowd is for"},
		"TF32 of no GPU":   {[]string{"--tf32", "--device", "cpu", in}, "--tf32 on cpu"},
		"absurd score":     {[]string{"--score", "2", in}, "Score"},
	} {
		stdout, stderr, err := segment(nil, append([]string{"--output", filepath.Join(dir, "out")}, c.args...)...)
		require.Error(t, err, name)
		require.Contains(t, stdout+stderr+err.Error(), c.want, name)
	}
	_, _, err := runProgram(nil, "segment", in)
	require.ErrorContains(t, err, "weights")

	// What no picture can change is reported once.
	savePNG(t, filepath.Join(dir, "b.png"), 2)
	stdout, stderr, err := segment(nil, "--output", filepath.Join(dir, "out"), "--tta", "64", "--scale", "2", in, filepath.Join(dir, "b.png"))
	require.ErrorContains(t, err, "option Scale")
	require.NotContains(t, stdout+stderr, "option Scale")
	for _, args := range [][]string{{"--proposals", "20000"}, {"--tta", "1000000000"}, {"--max-memory", "0.001"}, {"--max-memory", "NaN"}, {"--max-views", "1", "--tta", "64,flip"}} {
		stdout, stderr, err := segment(nil, append([]string{"--output", filepath.Join(dir, "out"), in}, args...)...)
		require.Error(t, err, args)
		require.Regexp(t, "--max-memory|--max-views|Augment.Scales|--proposals", stdout+stderr+err.Error(), args)
	}
}

func TestInfo(t *testing.T) {
	stdout, _, err := runProgram(nil, "info", "--list", filepath.Join(golden.Dir("mini_r50s_1step"), "golden.safetensors"))
	require.NoError(t, err)
	require.Contains(t, stdout, "backbone.p2")
	_, _, err = runProgram(nil, "info", filepath.Join(golden.Dir("mini_r50s_1step"), "image0.png"))
	require.ErrorContains(t, err, "PNG")
}

func TestTraceFolders(t *testing.T) {
	a, b := segmentInput{name: "x/a.png"}, segmentInput{name: "x/a.jpg"}
	for _, c := range []struct {
		root   string
		inputs []segmentInput
		want   []string
	}{
		{"", []segmentInput{a, b}, []string{""}},
		{"tr", []segmentInput{a}, []string{"tr"}},
		{"tr", []segmentInput{a, {name: "a.png"}}, []string{filepath.Join("tr", "x", "a"), filepath.Join("tr", "a")}},
		{"tr", []segmentInput{a, b}, nil},
	} {
		got, err := traceFolders(c.root, c.inputs)
		require.Equal(t, c.want == nil, err != nil, "%v: %v", c.inputs, err)
		require.Equal(t, c.want, got)
	}
}
