package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

// The ids of --gt are found by names as other systems write them; what is not in it is an error where an id is all there is.
func TestConvertToIDsOfOtherNames(t *testing.T) {
	folder := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		return path
	}
	set := func(id, name string) string {
		return `{"images": [{"id": ` + id + `, "file_name": "` + name + `", "width": 9, "height": 9}], "categories": [{"id": 9, "name": "car"}],
			"annotations": [{"id": 1, "image_id": ` + id + `, "category_id": 9, "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4]], "area": 4, "iscrowd": 0}]}`
	}
	windows, unix, other := put("win.json", set("77", `images\\a.png`)), put("unix.json", set("5", "images/a.png")), put("other.json", set("5", "z.png"))
	text, err := program(t, "convert", "--gt", windows, "--to", "results", unix, "-")
	require.NoError(t, err)
	require.Contains(t, text, `"image_id":77`)
	_, err = program(t, "convert", "--gt", windows, "--to", "results", other, "-")
	require.ErrorContains(t, err, "z.png is not in "+windows)
	_, said, err := runProgram(nil, "convert", "--gt", windows, "--to", "coco", other, filepath.Join(folder, "out.json"))
	require.NoError(t, err)
	require.Contains(t, said, "1 picture is not in "+windows)
}

// Masks of an earlier run do not stay beside those of this one, and no label map is another picture's preview.
func TestConvertLeavesNothingOfOthers(t *testing.T) {
	file, folder := shapesSet(t, 1)
	out := filepath.Join(t.TempDir(), "out")
	count := func() int {
		masks, err := filepath.Glob(filepath.Join(out, "*", "*", "masks", "*.png"))
		require.NoError(t, err)
		return len(masks)
	}
	_, err := program(t, "convert", "--to", "dsb", "--images", folder, file, out)
	require.NoError(t, err)
	before := count()
	require.Positive(t, before)
	_, err = program(t, "convert", "--to", "dsb", "--images", folder, "--min-area", "1000000", file, out)
	require.NoError(t, err)
	require.Less(t, count(), before)

	two := filepath.Join(t.TempDir(), "two.json")
	require.NoError(t, os.WriteFile(two, []byte(`{"images": [{"id": 1, "file_name": "x_preview.png", "width": 9, "height": 9}, {"id": 2, "file_name": "x.png", "width": 9, "height": 9}],
		"categories": [], "annotations": []}`), 0o666))
	_, err = program(t, "convert", "--to", "labelmap", two, filepath.Join(t.TempDir(), "maps"))
	require.ErrorContains(t, err, "would be written to the same file")
}

// YOLO looks for the labels of images/a/images/x.png in images/a/labels/x.txt: the last images of a path counts.
func TestConvertToYOLOPlaces(t *testing.T) {
	for name, want := range map[string]string{
		"x.png": "labels/x", "a/x.png": "labels/a/x", "images/x.png": "labels/x", "images/train/x.png": "labels/train/x", "imagesets/x.png": "labels/imagesets/x",
		"a/images/x.png": "images/a/labels/x", "images/images/x.png": "images/labels/x", `a\images\b\x.png`: "images/a/labels/b/x",
	} {
		require.Equal(t, want, outputPlace("yolo", &coco.LabeledImage{FileName: name}), name)
	}
}
