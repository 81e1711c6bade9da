package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An area that is not a number is a problem of the comparison alone, which says so.
func TestAnyAreaIsGoodEnough(t *testing.T) {
	for _, area := range []string{"NaN", "-Infinity", "-1", `"many"`, "[]"} {
		file, folder := strangeFile{annotations: []string{strings.Replace(squareAt(0), "400", area, 1)}}.write(t)
		text, err := program(t, "data", "info", "--check", file)
		require.ErrorContains(t, err, "has 1 problem")
		require.Contains(t, text, "annotation 1 (record 0): area ")
		shapes, words, err := shapesOf(t, file)
		require.NoError(t, err)
		require.Len(t, shapes, 4)
		require.Empty(t, words)
		results := filepath.Join(folder, "results.json")
		_, err = program(t, "convert", "--to", "results", file, results)
		require.NoError(t, err)
		text, words, err = runProgram(nil, "eval", "--gt", file, "--dets", results)
		require.NoError(t, err)
		require.Contains(t, text, "100.0")
		require.Contains(t, words, file+": 1 annotations have an area that is not a number from 0 up (the first: annotation 1 (record 0): area ")
	}
}

// Comparing boxes needs no masks.
func TestBoxesAreComparedWithoutMasks(t *testing.T) {
	for _, mask := range []string{`[[1, 1, 5, 5]]`, `{"size": [2, 2], "counts": [4]}`, `{"size": [128, 160], "counts": [5]}`, `"none"`, `[["x"]]`} {
		file, folder := strangeFile{annotations: []string{`"bbox": [10, 20, 20, 20], "area": 400, "segmentation": ` + mask}}.write(t)
		results := filepath.Join(folder, "results.json")
		require.NoError(t, os.WriteFile(results, []byte(`[{"image_id": 1, "category_id": 1, "score": 1, "bbox": [10, 20, 20, 20], "segmentation": `+mask+`}]`), 0o666))
		for _, skip := range []string{"fail", "skip"} {
			text, words, err := runProgram(nil, "eval", "--gt", file, "--dets", results, "--iou", "bbox", "--on-error", skip)
			require.NoError(t, err)
			require.NotContains(t, words, "skipped")
			require.Contains(t, text, "25.7", "the first of four boxes is found")
		}
		_, err := program(t, "eval", "--gt", file, "--dets", results, "--iou", "segm,bbox")
		require.ErrorContains(t, err, "annotation 1 (record 0): ")
	}
}

// Equal problems are counted, others are still seen.
func TestCheckGroupsProblems(t *testing.T) {
	var f strangeFile
	for i := range 40 {
		f.annotations = append(f.annotations, strings.Replace(squareAt(0), `"bbox": [10,`, fmt.Sprintf(`"bbox": [%d,`, 500+i), 1))
	}
	f.annotations = append(f.annotations, strings.Replace(squareAt(0), "400", "-7", 1))
	file, _ := f.write(t)
	text, err := program(t, "data", "info", "--check", file)
	require.ErrorContains(t, err, "has 41 problems")
	require.Equal(t, 5, strings.Count(text, "lies outside the image"))
	require.Contains(t, text, "… and 35 more like these")
	require.Contains(t, text, "annotation 41 (record 40): area -7")
	text, err = program(t, "data", "info", "--check", "--json", file)
	require.ErrorContains(t, err, "has 41 problems")
	require.Equal(t, 40, strings.Count(text, "lies outside the image"))

	f.image = `"width": 0, "height": 0`
	file, _ = f.write(t)
	text, err = program(t, "data", "info", "--check", file)
	require.ErrorContains(t, err, "has 2 problems")
	require.Contains(t, text, "image 1 (record 0): size 0×0")
}

// One picture that is missing or damaged does not keep the others from being drawn.
func TestShowSkipsPictures(t *testing.T) {
	file, folder := strangeFile{top: `, "x": 1`}.write(t)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	more := `"images": [{"id": 2, "file_name": "missing.png", "width": 160, "height": 128}, {"id": 3, "file_name": "cut.png", "width": 160, "height": 128}, {"id": 4, "file_name": "small.png", "width": 9, "height": 9}, `
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), `"images": [`, more, 1)), 0o666))
	whole, err := os.ReadFile(filepath.Join(folder, "0001.png"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "cut.png"), whole[:60], 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "small.png"), whole, 0o666))
	show := []string{"data", "show", file, "--images", folder, "--out", filepath.Join(folder, "drawn"), "--ids", "2,3,4,1"}
	_, err = program(t, show...)
	require.ErrorContains(t, err, "missing.png")
	out, words, err := runProgram(nil, append(show, "--on-error", "skip")...)
	require.NoError(t, err)
	require.Contains(t, out, "4 instances")
	for _, name := range []string{"skipped: image 2: ", "skipped: image 3: ", "skipped: image 4: ", "missing.png", "cut.png", "160×128 pixels, but 9×9"} {
		require.Equal(t, 1, strings.Count(words, name), name+"\n"+words)
	}
	_, err = program(t, "data", "show", file, "--images", folder, "--out", filepath.Join(folder, "drawn"), "--ids", "2", "--on-error", "skip")
	require.ErrorContains(t, err, "none of 1 picture can be read")
}
