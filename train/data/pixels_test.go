package data

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const line = `"segmentation": [[1, 1, 1, 1, 1, 1]], "bbox": [1, 1, 0, 0]`

func TestAnnotationsWithoutPixelsOnly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "set.json")
	write := func(annotations string) {
		require.NoError(t, os.WriteFile(file, []byte(`{"images": [{"id": 1, "width": 9, "height": 9, "file_name": "a.png"}], "categories": [{"id": 1, "name": "a"}], "annotations": [`+annotations+`]}`), 0o600))
	}
	write(`{"id": 7, "image_id": 1, "category_id": 1, ` + line + `}, {"id": 12, "image_id": 1, "category_id": 1, ` + line + `}`)
	_, err := OpenCOCO(file, dir)
	require.ErrorContains(t, err, file+": none of its 2 annotations covers a pixel (ids 7 12)")
	write(`{"id": 7, "image_id": 1, "category_id": 1, ` + line + `}, {"id": 12, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4]]}`)
	_, err = OpenCOCO(file, dir)
	require.NoError(t, err)
	write("")
	_, err = OpenCOCO(file, dir)
	require.NoError(t, err, "pictures without objects")
}

func TestShapesWithoutPixelsOnly(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte(`{"imagePath": "a.png", "imageWidth": 9, "imageHeight": 9, "shapes": [{"label": "x", "shape_type": "polygon", "points": [[1, 1], [1, 1], [1, 1]]}]}`), 0o600))
	_, err := OpenLabelMe(dir, nil, func(string, ...any) {})
	require.ErrorContains(t, err, "no shape of its 1 files covers a pixel (a.json)")
	_, err = OpenLabelMe(dir, nil, nil)
	require.ErrorContains(t, err, "shape 0 (x): a polygon has no area")
}
