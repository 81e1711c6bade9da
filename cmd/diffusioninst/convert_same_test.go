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
	nothing := func(string) string { return "" }
	for name, c := range map[string]struct {
		args   []string
		change []string // old and new parts of the text
		warn   func(file string) string
	}{
		"as it is":      {warn: nothing},
		"crowds":        {args: []string{"--crowd", "object"}, change: []string{`"iscrowd": 1`, `"iscrowd": 0`}, warn: nothing},
		"with outlines": {args: []string{"--polygons", "--crowd", "object"}, change: []string{`"iscrowd": 1`, `"iscrowd": 0`, `{"size": [8, 10], "counts": [9, 3, 68]}`, `[[1, 1, 2, 1, 2, 4, 1, 4]]`}, warn: nothing},
		"without an area": {change: []string{`"area": 7.25, `, `"area": NaN, `, `"area": NaN, `, `"area": 9, `}, warn: func(string) string {
			return "warning: coco: 1 annotations have no area that is a number and get that of the mask or box (the first: of b.png, id \"x\")\n"
		}},
		"a few of them":     {args: []string{"--min-area", "5"}, warn: nil},
		"ids of a data set": {args: []string{"--gt"}, warn: nil},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			in, out := filepath.Join(folder, "in.json"), filepath.Join(folder, "out.json")
			text, want := sameSet, sameSet
			switch name {
			case "without an area":
				text = strings.Replace(text, c.change[0], c.change[1], 1)
				want = strings.Replace(text, c.change[2], c.change[3], 1)
			case "a few of them":
				from, to := strings.Index(want, `{"id": 900`), strings.Index(want, `{"id": "x"`)
				want = want[:from] + want[to:]
				from, to = strings.Index(want, ",\n\t\t{\"id\": 3,"), strings.Index(want, "],\n\t\"categories\"")
				want = want[:from] + want[to:]
			case "ids of a data set":
				gt := filepath.Join(folder, "gt.json")
				require.NoError(t, os.WriteFile(gt, []byte(`{"images": [{"id": 1, "file_name": "b.png"}], "annotations": [], "categories": [{"id": 9, "name": "car"}, {"id": 1, "name": "unused", "x": 1}]}`), 0o666))
				c.args = append(c.args, gt)
			default:
				want = strings.NewReplacer(c.change...).Replace(want)
			}
			require.NoError(t, os.WriteFile(in, []byte(text), 0o666))
			_, said, err := runProgram(nil, append([]string{"convert", "--to", "coco", in, out}, c.args...)...)
			require.NoError(t, err)
			if c.warn != nil {
				require.Equal(t, c.warn(in), said)
			}
			got, err := os.ReadFile(out)
			require.NoError(t, err)
			if name == "ids of a data set" {
				require.Contains(t, said, "1 categories have the id of another and are numbered anew (the first: kite, id 9, is now 10)")
				require.Contains(t, string(got), `{"id":1,"width":10,"height":8,"file_name":"b.png","license":4,"coco_url":"c","flickr_url":"","neg_category_ids":[10]`)
				require.Contains(t, string(got), `{"id":900,"image_id":1,"category_id":9,`)
				require.Contains(t, string(got), `{"id":3,"image_id":0,"category_id":10,`)
				require.Contains(t, string(got), `{"id":10,"name":"kite","supercategory":"","frequency":"r"`)
				return
			}
			require.JSONEq(t, want, string(got))
		})
	}
}
