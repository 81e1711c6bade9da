package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// matchingFiles writes a data set of two pictures of 10×1 pixels and detections on it.
func matchingFiles(t *testing.T) (truth, dets, kinds string) {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		return path
	}
	truth = write("truth.json", `{"images": [
		{"id": 1, "file_name": "a.png", "width": 10, "height": 1, "stain": "dark"}, {"id": 2, "file_name": "b.png", "width": 10, "height": 1, "stain": "bright"}],
		"categories": [{"id": 1, "name": "cell"}], "annotations": [
		{"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [1, 10], "counts": [0, 4, 6]}},
		{"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [1, 10], "counts": [5, 4, 1]}},
		{"id": 3, "image_id": 2, "category_id": 1, "segmentation": {"size": [1, 10], "counts": [0, 10]}}]}`)
	dets = write("dets.json", `[
		{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": {"size": [1, 10], "counts": [0, 4, 6]}},
		{"image_id": 1, "category_id": 1, "score": 0.6, "segmentation": {"size": [1, 10], "counts": [6, 4]}},
		{"image_id": 2, "category_id": 1, "score": 0.3, "segmentation": {"size": [1, 10], "counts": [0, 10]}}]`)
	return truth, dets, write("kinds.csv", "\ufeffpicture,part,kind\na,val,dark\nb,val,bright\n")
}

func TestEvalMatching(t *testing.T) {
	truth, dets, kinds := matchingFiles(t)
	args := []string{"eval", "--gt", truth, "--dets", dets}
	plain, err := program(t, args...)
	require.NoError(t, err)
	require.NotContains(t, plain, "matching")
	text, err := program(t, append(args, "--matching")...)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, plain), "the other figures stay")
	require.Contains(t, text, "matching from a score of 0.5, percent")
	require.Regexp(t, `0\.60\s+66\.67\s+80\.00\s+100\.00\s+66\.67\s+80\.00\s+2\s+0\s+1`, text)
	require.Regexp(t, `0\.65\s+25\.00\s+40\.00\s+50\.00\s+33\.33\s+100\.00\s+1\s+1\s+2`, text)

	for _, by := range []string{"stain", kinds} {
		text, stderr, err := runProgram(nil, append(args, "--choose-score", truth, "--choose-dets", dets, "--kinds", by, "--sizes", "5", "--json")...)
		require.NoError(t, err)
		require.Contains(t, stderr, "score 0.3: it has the best mean AP over IoU .5 to .9")
		var got struct {
			Matching struct {
				Score             float64
				All               map[string]any
				Kinds, Areas      []struct{ Name string }
				Segm, UnknownName any
			}
			Segm struct {
				AP    float64
				Kinds map[string]struct {
					Images   int
					AP, AP50 float64
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.InDelta(t, 1, got.Segm.Kinds["bright"].AP, 1e-9)
		require.Less(t, got.Segm.Kinds["dark"].AP, got.Segm.AP)
		require.Equal(t, 1, got.Segm.Kinds["dark"].Images)
		require.Equal(t, .3, got.Matching.Score, "the least score of a detection")
		require.InDelta(t, ((2+8./3)/10+1)/2, got.Matching.All["DSB"], 1e-9)
		require.Equal(t, []struct{ Name string }{{"bright"}, {"dark"}}, got.Matching.Kinds)
		require.Equal(t, []struct{ Name string }{{"< 5"}, {"≥ 5"}}, got.Matching.Areas)
	}
}

func TestEvalMatchingRefuses(t *testing.T) {
	truth, dets, kinds := matchingFiles(t)
	other := filepath.Join(t.TempDir(), "other.csv")
	require.NoError(t, os.WriteFile(other, []byte("picture,kind\na,dark\n"), 0o666))
	twice := filepath.Join(t.TempDir(), "twice.csv")
	require.NoError(t, os.WriteFile(twice, []byte("picture,kind\na,dark\nb,dark\na,bright\n"), 0o666))
	for flags, want := range map[string]string{
		"--kinds " + twice:               `row 4: a is "bright", and "dark" before`,
		"--matching --style lvis":        "--matching with --style lvis",
		"--choose-score x.json":          "choose-dets",
		"--at-score 1.5":                 "no score exceeds 1",
		"--sizes 5,3":                    "ascending",
		"--sizes 0":                      "ascending",
		"--kinds colour":                 `no image has a field "colour"`,
		"--kinds " + other:               "1 of 2 pictures have no kind, such as b.png",
		"--kinds " + kinds + ".none.csv": "no such file",
		"--at-score .4 --choose-score " + truth + " --choose-dets " + dets: "give one of the two",
	} {
		_, err := program(t, append([]string{"eval", "--gt", truth, "--dets", dets}, strings.Fields(flags)...)...)
		require.ErrorContains(t, err, want, flags)
	}
}

// A name without its folder may be several pictures, and a picture without the field is in no row.
func TestKindsOfWhichPictures(t *testing.T) {
	truth, dets, kinds := matchingFiles(t)
	text, err := os.ReadFile(truth)
	require.NoError(t, err)
	write := func(from, to string) {
		require.NoError(t, os.WriteFile(truth, []byte(strings.ReplaceAll(string(text), from, to)), 0o666))
	}
	args := []string{"eval", "--gt", truth, "--dets", dets, "--kinds"}
	write(`, "stain": "bright"`, ``)
	_, said, err := runProgram(nil, append(args, "stain")...)
	require.NoError(t, err)
	require.Contains(t, said, "--kinds stain: 1 picture of 2 without such a field, in no row: such as b.png")
	text = []byte(strings.ReplaceAll(string(text), "a.png", "x/a.png"))
	write("b.png", "y/a.png")
	_, err = program(t, append(args, kinds)...)
	require.ErrorContains(t, err, "a may be x/a.png or y/a.png: give the column picture the names of the data set")
}

// What the rules do not count is said.
func TestEvalSaysWhatDoesNotCount(t *testing.T) {
	truth, _, _ := matchingFiles(t)
	var all []string
	for range 101 {
		all = append(all, `{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": {"size": [1, 10], "counts": [0, 4, 6]}}`)
	}
	dets := filepath.Join(t.TempDir(), "dets.json")
	require.NoError(t, os.WriteFile(dets, []byte("["+strings.Join(all, ",")+"]"), 0o666))
	_, said, err := runProgram(nil, "eval", "--gt", truth, "--dets", dets)
	require.NoError(t, err)
	require.Contains(t, said, "a picture has 101 detections, of which the rules count the surest 100: --max-dets 1,10,101 counts all")
	_, said, err = runProgram(nil, "eval", "--gt", truth, "--dets", dets, "--max-dets", "1,10,100")
	require.NoError(t, err)
	require.NotContains(t, said, "the rules count")
	require.Equal(t, []int{1, 10, 500}, allDetections(500, "coco", nil))
	require.Equal(t, []int{400}, allDetections(400, "lvis", nil))
	require.Nil(t, allDetections(100, "coco", nil))
	require.Nil(t, allDetections(-1, "coco", nil))
}

// What compares masks says so of a data set that has boxes alone.
func TestMatchingNeedsMasks(t *testing.T) {
	dir := t.TempDir()
	truth, results := filepath.Join(dir, "gt.json"), filepath.Join(dir, "results.json")
	require.NoError(t, os.WriteFile(truth, []byte(`{"images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "cell"}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0}]}`), 0o666))
	require.NoError(t, os.WriteFile(results, []byte(`[{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 1, 3, 3]}]`), 0o666))
	_, err := program(t, "eval", "--gt", truth, "--dets", results, "--iou", "bbox")
	require.NoError(t, err)
	_, err = program(t, "eval", "--gt", truth, "--dets", results, "--iou", "bbox", "--at-score", "0.2")
	require.ErrorContains(t, err, "--at-score, --choose-score, --sizes and --kinds compare masks")
}
