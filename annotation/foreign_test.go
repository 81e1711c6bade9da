package annotation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// JSON of tools that are not read is refused by their names, as a file and in a folder.
func TestForeignJSON(t *testing.T) {
	via := `{"0001.png123": {"filename": "0001.png", "size": 123, "regions": [{"shape_attributes": {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}, "region_attributes": {"label": "a"}}], "file_attributes": {}}}`
	for text, tool := range map[string]string{
		via: "VIA",
		`{"_via_settings": {}, "_via_img_metadata": ` + via + `}`:                                                               "VIA",
		`{"project": {}, "file": {"1": {"fid": "1", "fname": "0001.png"}}, "metadata": {}}`:                                     "VIA 3",
		`{"description": "", "tags": [], "size": {"height": 9, "width": 9}, "objects": [{"id": 1, "geometryType": "polygon"}]}`: "Supervisely",
		`{"classes": [{"title": "a", "shape": "polygon"}], "tags": []}`:                                                         "Supervisely",
		`{"version": "2.0", "schema_ref": "x", "item": {"name": "a"}, "annotations": []}`:                                       "V7 Darwin",
		`{"image": {"width": 9}, "annotations": [{"name": "a", "polygon": {"path": [{"x": 1, "y": 1}]}}]}`:                      "V7 Darwin",
		`[{"id": 1, "data": {"image": "a"}, "annotations": [{"result": []}]}]`:                                                  "Label Studio",
		`[{"image": "a", "label": [{"points": [[1, 1]], "original_width": 9, "original_height": 9}]}]`:                          "Label Studio",
		`{"predictions": [{"x": 1, "points": [{"x": 1, "y": 1}]}], "image": {"width": 9}}`:                                      "Roboflow",
		`[{"ID": "x", "Labeled Data": "a"}]`:                                                                                    "Labelbox",
		`{"metadata": {"name": "a"}, "instances": [{"type": "polygon", "className": "a", "points": [1, 1]}]}`:                   "SuperAnnotate",
		`{"imgHeight": 9, "imgWidth": 9, "objects": [{"label": "a", "polygon": [[1, 1]]}]}`:                                     "Cityscapes",
		`{"images": [], "annotations": [{"image_id": 1, "segments_info": []}], "categories": []}`:                               "panoptic",
		`{"info": {}, "categories": {"label": {"labels": []}}, "items": []}`:                                                    "Datumaro",
		`{"mag": 40, "nuc": {"1": {"contour": [[1, 1]]}}}`:                                                                      "HoVer-Net",
		`[{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 2, 2]}]`:                                               "files of results",
	} {
		folder := t.TempDir()
		file := filepath.Join(folder, "x.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
		for _, at := range []string{file, folder} {
			_, err := Open(at, Options{})
			require.ErrorContains(t, err, tool, text)
			require.ErrorContains(t, err, at)
		}
	}
}
