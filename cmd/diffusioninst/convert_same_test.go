package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const sameSet = `{"info": {"year": 2017, "url": ""}, "licenses": [{"id": 4, "name": "CC0", "url": ""}], "type": "instances",
	"images": [{"id": 70, "width": 10, "height": 8, "file_name": "b.png", "license": 4, "coco_url": "c", "flickr_url": "", "date_captured": 0, "neg_category_ids": [9], "not_exhaustive_category_ids": []},
		{"id": 0, "width": 10, "height": 8, "file_name": "a.png", "meta": null}],
	"annotations": [{"id": 900, "image_id": 70, "category_id": 5, "iscrowd": 1, "area": 2.5, "bbox": [1, 1, 1, 3], "segmentation": {"size": [8, 10], "counts": [9, 3, 68]}},
		{"id": "x", "image_id": 70, "category_id": 5, "area": 7.25, "bbox": [1, 1, 3.5, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], "attributes": {"occluded": false, "track": 340282366920938463463374607431768211455}},
		{"id": 3, "image_id": 0, "category_id": 9, "iscrowd": 0, "ignore": 0, "area": 4, "bbox": [1, 1, 2, 2], "segmentation": [], "score": 0.50}],
	"categories": [{"id": 9, "name": "kite", "supercategory": "", "frequency": "r", "synset": "kite.n.03", "synonyms": [], "def": "", "image_count": 0, "instance_count": 1}, {"id": 5, "name": "car"}, {"id": 6, "name": "unused", "color": [1, 2]}]}`

// What a data set says is what it says when it has been converted to the same format.
func TestConvertToTheSame(t *testing.T) {
	const area, noArea = `"area": 7.25, `, `"area": NaN, `
	const runs, outline = `{"size": [8, 10], "counts": [9, 3, 68]}`, `[[1, 1, 2, 1, 2, 4, 1, 4]]`
	objects := []string{`"iscrowd": 1`, `"iscrowd": 0`}
	first, second := strings.Index(sameSet, `{"id": 900`), strings.Index(sameSet, `{"id": "x"`)
	third, end := strings.Index(sameSet, ",\n\t\t{\"id\": 3,"), strings.Index(sameSet, "],\n\t\"categories\"")
	for name, c := range map[string]struct {
		args     []string
		in, want []string // old and new parts of the set
		warning  string
	}{
		"as it is":      {},
		"crowds":        {args: []string{"--crowd", "object"}, want: objects},
		"with outlines": {args: []string{"--polygons", "--crowd", "object"}, want: append(objects, runs, outline)},
		"without an area": {in: []string{area, noArea}, want: []string{area, `"area": 9, `},
			warning: "warning: coco: 1 annotations have no area that is a number and get that of the mask or box (the first: of b.png, id \"x\")\n"},
		"a few of them": {args: []string{"--min-area", "5"}, want: []string{sameSet[first:second], "", sameSet[third:end], ""},
			warning: "warning: 2 instances of fewer than 5 pixels left out (--min-area)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, said := convertSame(t, strings.NewReplacer(c.in...).Replace(sameSet), c.args...)
			require.Equal(t, c.warning, said)
			require.JSONEq(t, strings.NewReplacer(c.want...).Replace(sameSet), got)
		})
	}
}

// Pictures and classes that another set has get its ids, and others must not have the same.
func TestConvertToIDsOfASet(t *testing.T) {
	gt := filepath.Join(t.TempDir(), "gt.json")
	require.NoError(t, os.WriteFile(gt, []byte(`{"images": [{"id": 1, "file_name": "b.png"}], "annotations": [], "categories": [{"id": 9, "name": "car"}, {"id": 1, "name": "unused", "x": 1}]}`), 0o666))
	got, said := convertSame(t, sameSet, "--gt", gt)
	require.Contains(t, said, "1 categories have the id of another and are numbered anew (the first: kite, id 9, is now 10)")
	require.Contains(t, got, `{"id":1,"width":10,"height":8,"file_name":"b.png","license":4,"coco_url":"c","flickr_url":"","neg_category_ids":[10]`)
	require.Contains(t, got, `{"id":900,"image_id":1,"category_id":9,`)
	require.Contains(t, got, `{"id":3,"image_id":0,"category_id":10,`)
	require.Contains(t, got, `{"id":10,"name":"kite","supercategory":"","frequency":"r"`)
}

// convertSame converts a COCO file to one, and returns that and what was said.
func convertSame(t *testing.T, set string, args ...string) (string, string) {
	t.Helper()
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.json"), filepath.Join(folder, "out.json")
	require.NoError(t, os.WriteFile(in, []byte(set), 0o666))
	_, said, err := runProgram(nil, append([]string{"convert", "--to", "coco", in, out}, args...)...)
	require.NoError(t, err)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	return string(got), said
}
