//go:build cgo

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/train/journal"
)

// dataSetCommands returns functions that run the commands of a model over the data set in a file and
// return what they find, by name, with a model that has been trained on such a data set.
func dataSetCommands(t *testing.T) map[string]func(file, folder string, more ...string) (result any, words string, err error) {
	t.Helper()
	base := tinyRun(t, "")
	training := func(file, folder string, more ...string) (any, string, error) {
		args, out := slices.Clone(base), t.TempDir()
		for flag, at := range map[string]string{"--train": file, "--val": file, "--images": folder} {
			args[slices.Index(args, flag)+1] = at
		}
		_, words, err := runProgram(nil, append(append(args, "--steps", "1", "--out", out), more...)...)
		if err != nil {
			return nil, words, err
		}
		require.NoError(t, os.Rename(filepath.Join(out, "model.safetensors"), filepath.Join(folder, "model.safetensors")))
		series, err := journal.Read(filepath.Join(out, "train.csv"))
		require.NoError(t, err)
		return series[0].Points[0].Value, words, nil
	}
	good, folder := strangeFile{}.write(t)
	_, words, err := training(good, folder)
	require.NoError(t, err, words)
	model := []string{"--weights", filepath.Join(folder, "model.safetensors"), "--device", "cpu", "--threads", "1"}
	over := func(args ...string) func(file, folder string, more ...string) (any, string, error) {
		return func(file, folder string, more ...string) (any, string, error) {
			all := append(append(slices.Clone(args), "--gt", file), more...)
			if i := slices.Index(all, "OUT"); i >= 0 {
				all[i] = t.TempDir()
			}
			if args[0] == "segment" {
				all = append(all, "--output", t.TempDir(), filepath.Join(folder, "images", "0001.png"))
			} else {
				all = append(all, "--images", folder)
			}
			out, words, err := runProgram(nil, append(all, model...)...)
			return regexp.MustCompile(`[0-9.]+m?s|[0-9.]+\n|/[^ \n]+`).ReplaceAllString(out, ""), words, err // no times and folders
		}
	}
	return map[string]func(file, folder string, more ...string) (any, string, error){
		"train":   training,
		"test":    over("test", "--json"),
		"sweep":   over("sweep", "--steps", "1", "--samplers", "ddim", "--out", "OUT"),
		"segment": over("segment", "--format", "results", "--score", "-1"),
	}
}

// What people's tools write means the same to the commands that run a model as the plain file.
func TestModelsTakeStrangeAnnotations(t *testing.T) {
	clean, cleanFolder := strangeFile{}.write(t)
	var crowds strangeFile
	for i := range 4 {
		crowds.annotations = append(crowds.annotations, strings.Replace(squareAt(i), `"iscrowd": 0`, `"iscrowd": 1`, 1))
	}
	box := `"bbox": [10, 20, 20, 20], "area": 400`
	wrong := strangeFile{annotations: []string{
		squareAt(0), squareAt(1), squareAt(2), squareAt(3), // then what is left out
		box + `, "segmentation": [[1, 1, 5, 5]]`,
		box + `, "segmentation": {"size": [128, 160], "counts": [5]}`,
		box + `, "segmentation": "none"`,
		box + `}, {"id": 9, "image_id": 5, "category_id": 1`,
	}}
	wants := []string{
		"annotation 5 (record 4): polygon 0: 2 points, fewer than 3", "annotation 6 (record 5): mask: 1 runs cover 5", "annotation 7 (record 6): segmentation: byte",
		"annotation 9 (record 8): image 5 is not in the data set",
	}
	const allCrowds = "all 4 annotations are crowds"
	labelMe := func(file, folder string) string {
		require.NoError(t, os.Remove(file))
		shapes := []string{`{"label": "nucleus", "points": [[1, 1], [5, 5]], "shape_type": "line"}`}
		for i := range 4 {
			shapes = append(shapes, fmt.Sprintf(`{"label": "nucleus", "points": [["%[1]d", 20], [%[1]d, 40], [%[2]d, 40], [%[2]d, 20]], "shape_type": "polygon"}`, 10+30*i, 30+30*i))
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, "images", "0001.json"), []byte(`{"shapes": [`+strings.Join(shapes, ",")+`], "imagePath": "..\\images\\0001.PNG"}`), 0o666))
		return filepath.Join(folder, "images")
	}
	for name, run := range dataSetCommands(t) {
		t.Run(name, func(t *testing.T) {
			want, words, err := run(clean, cleanFolder)
			require.NoError(t, err, words)
			for name, f := range map[string]strangeFile{
				"fields": {
					image: `"width": "160", "height": 128.0, "license": 0, "date_captured": 0`, category: `, "supercategory": 7`, top: `, "licenses": [{"id": ""}]`, mark: "\uFEFF", name: `"IMAGES\\0001.PNG"`,
					annotations: []string{`"bbox": ["10", "20", "20", "20"], "area": "400", "segmentation": [10, 20, 30, 20, 30, 40, 10, 40]`},
				},
				"ids and size": {imageID: `"0001"`, categoryID: `"cell"`, image: `"width": 0, "height": null`, name: `"C:\\data\\0001.png"`},
			} {
				file, folder := f.write(t)
				got, words, err := run(file, folder)
				require.NoError(t, err, name+words)
				require.NotContains(t, words, file+":", name)
				require.Equal(t, want, got, name)
			}
			file, folder := wrong.write(t)
			_, _, err = run(file, folder)
			require.ErrorContains(t, err, wants[0])
			require.ErrorContains(t, err, file)
			require.ErrorContains(t, err, "--on-error skip")
			got, words, err := run(file, folder, "--on-error", "skip")
			require.NoError(t, err, words)
			for _, one := range wants {
				require.Equal(t, 1, strings.Count(words, one), one+"\n"+words)
			}
			require.Equal(t, want, got)

			file, folder = crowds.write(t)
			_, _, err = run(file, folder)
			require.ErrorContains(t, err, allCrowds)
			require.ErrorContains(t, err, "--crowd object")
			got, words, err = run(file, folder, "--crowd", "object")
			require.NoError(t, err, words)
			require.Equal(t, want, got)

			at := labelMe(strangeFile{}.write(t))
			got, words, err = run(at, filepath.Dir(at))
			require.NoError(t, err, words)
			require.Contains(t, words, "shape 0 (nucleus): a line has no area")
			require.Equal(t, want, got)
		})
	}
}
