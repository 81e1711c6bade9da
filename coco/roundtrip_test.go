package coco

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// content returns what a JSON text says: numbers by their values, and records in the order of
// their ids.
func content(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v), text)
	if top, ok := v.(map[string]any); ok {
		for _, list := range top {
			if records, ok := list.([]any); ok {
				slices.SortStableFunc(records, func(a, b any) int { return strings.Compare(idOf(a), idOf(b)) })
			}
		}
	}
	return plain(v)
}

func idOf(record any) string {
	fields, _ := record.(map[string]any)
	text, _ := json.Marshal(fields["id"])
	return string(text)
}

func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		if r, ok := new(big.Rat).SetString(string(v)); ok {
			return "number " + r.RatString()
		}
	}
	return v
}

// roundTrips are data sets, and what comes out if that is not the same.
var roundTrips = map[string]struct{ in, out string }{
	"COCO": {in: `{"info": {"year": 2017, "contributor": ""}, "licenses": [{"id": 3, "name": "x", "url": "u"}],
		"images": [{"id": 9, "width": 10, "height": 8, "file_name": "b.jpg", "license": 3, "coco_url": "c", "flickr_url": "f", "date_captured": "2013-11-14 17:02:52"},
			{"id": 4, "width": 10, "height": 8, "file_name": "a.jpg", "license": 3}],
		"annotations": [{"id": 900100, "image_id": 4, "category_id": 18, "iscrowd": 0, "area": 8.75, "bbox": [1, 1, 3.5, 3], "segmentation": [[1, 1, 4.5, 1, 4.5, 4, 1, 4]]},
			{"id": 7, "image_id": 9, "category_id": 3, "iscrowd": 1, "area": 3, "bbox": [1, 1, 1, 3], "segmentation": {"size": [8, 10], "counts": [9, 3, 68]}},
			{"id": 8, "image_id": 9, "category_id": 3, "iscrowd": 0, "area": 17, "bbox": [1, 1, 1, 3], "segmentation": {"size": [8, 10], "counts": "93T2"}}],
		"categories": [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 3, "name": "car", "supercategory": "vehicle"}, {"id": 1, "name": "unused", "supercategory": ""}]}`},
	"LVIS": {in: `{"images": [{"id": 9, "width": 10, "height": 8, "coco_url": "c", "neg_category_ids": [4], "not_exhaustive_category_ids": []},
			{"id": 10, "width": 10, "height": 8, "coco_url": "d", "neg_category_ids": [], "not_exhaustive_category_ids": [1203]}],
		"annotations": [{"id": 5, "image_id": 9, "category_id": 1203, "area": 9.5, "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], "ignore": 0}],
		"categories": [{"id": 1203, "name": "zucchini", "synset": "zucchini.n.02", "synonyms": ["zucchini", "courgette"], "def": "", "frequency": "c", "image_count": 0, "instance_count": 7},
			{"id": 4, "name": "kite", "synset": "kite.n.03", "synonyms": [], "frequency": "r"}]}`},
	"CVAT": {in: `{"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": "", "date_created": ""},
		"images": [{"id": 1, "width": 10, "height": 8, "file_name": "a.png", "license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4.0, "bbox": [1, 1, 2, 2], "segmentation": [], "attributes": {"occluded": false, "track_id": null, "x": [1e300, "é"]}}],
		"categories": [{"id": 1, "name": "a", "supercategory": ""}]}`},
	"unknown fields": {in: `{"type": "instances", "videos": [{"id": 2, "x": null}], "images": [{"id": 1, "width": 10, "height": 8, "file_ids": [1, "2"], "license": "CC BY", "meta": null}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9, "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], "score": 0.10, "keypoints": [1, 2, 2], "num_keypoints": 1}],
		"categories": [{"id": 1, "name": 7, "keypoints": ["nose"], "skeleton": [[1, 1]], "color": null}], "licenses": {"none": true}}`},
	"nulls": {in: `{"info": null, "licenses": null, "more": null, "images": [{"id": 1, "width": 10, "height": 8, "file_name": "a", "license": null, "coco_url": null}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": null, "ignore": null, "area": 9, "bbox": [1, 1, 3, 3], "segmentation": null, "score": null}],
		"categories": [{"id": 1, "name": "a", "supercategory": null, "frequency": null, "image_count": null, "synonyms": null}]}`},
	"ids that are strings": {in: `{"images": [{"id": "a/1", "width": 10, "height": 8, "neg_category_ids": ["cat", "gone", 3]}, {"id": "7", "width": 10, "height": 8}],
		"annotations": [{"id": "x", "image_id": "a/1", "category_id": "cat", "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2]},
			{"id": "12", "image_id": "7", "category_id": "cat", "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2]}],
		"categories": [{"id": "cat", "name": "a"}, {"id": 3, "name": "b"}]}`},
	"huge ids": {in: `{"images": [{"id": 123456789012345678901234567890, "width": 10, "height": 8, "not_exhaustive_category_ids": [98765432109876543210]}, {"id": 9223372036854775807, "width": 10, "height": 8}],
		"annotations": [{"id": 340282366920938463463374607431768211455, "image_id": 123456789012345678901234567890, "category_id": 98765432109876543210, "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2]},
			{"id": 9007199254740993, "image_id": 9223372036854775807, "category_id": 98765432109876543210, "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2]}],
		"categories": [{"id": 98765432109876543210, "name": "a"}]}`},
	"ids of 0 and below": {in: `{"images": [{"id": 0, "width": 10, "height": 8}, {"id": -3, "width": 10, "height": 8}],
		"annotations": [{"id": 0, "image_id": 0, "category_id": 0, "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2]}, {"id": -1, "image_id": -3, "category_id": 0, "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2]}],
		"categories": [{"id": 0, "name": "a"}]}`},
	"other forms of the same": {
		in: `{"images": [{"id": 1.0, "width": "10", "height": 8.0}], "categories": [{"id": 1, "name": "a"}],
			"annotations": [{"id": 1, "image_id": "1", "category_id": 1, "iscrowd": false, "ignore": "true", "area": "9", "bbox": ["1", 1, 3, 3], "segmentation": [1, 1, 4, 1, 4, 4, 1, 4]},
				{"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9, "bbox": [null, null, null, null], "segmentation": {"size": [8, 10], "counts": "b'93T2'"}}]}`,
		out: `{"images": [{"id": 1, "width": 10, "height": 8}], "categories": [{"id": 1, "name": "a"}],
			"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "ignore": 1, "area": 9, "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]},
				{"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9, "bbox": [], "segmentation": {"size": [8, 10], "counts": "93T2"}}]}`},
}

func readText(t *testing.T, text string) *Dataset {
	t.Helper()
	d, err := Read(strings.NewReader(text))
	require.NoError(t, err)
	return d
}

func written(t *testing.T, d *Dataset) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, d.Write(&out))
	return out.String()
}

// What a file says is what it says when it has been read and written.
func TestWriteKeepsWhatIsRead(t *testing.T) {
	for name, c := range roundTrips {
		t.Run(name, func(t *testing.T) {
			if c.out == "" {
				c.out = c.in
			}
			got := written(t, readText(t, c.in))
			require.Empty(t, cmp.Diff(content(t, c.out), content(t, got)))
			require.Equal(t, got, written(t, readText(t, got)))
		})
	}
}

// A field that is set is written once, and not as it was read.
func TestFieldsAreWrittenOnce(t *testing.T) {
	d := readText(t, `{"images": [{"id": 1, "width": null, "height": 8, "coco_url": 5}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": null}], "categories": [{"id": 1, "name": null}], "info": null}`)
	d.Images[0].COCOURL, d.Images[0].Width = "c", 10
	d.Annotations[0].BBox, d.Annotations[0].HasBBox = [4]float64{1, 1, 2, 2}, true
	d.Annotations[0].Crowd = true
	d.Categories[0].Name = "a"
	d.Info = json.RawMessage(`{}`)
	require.JSONEq(t, `{"info": {}, "images": [{"id": 1, "width": 10, "height": 8, "coco_url": "c"}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 1, "bbox": [1, 1, 2, 2]}], "categories": [{"id": 1, "name": "a"}]}`, written(t, d))
	require.Equal(t, 1, strings.Count(written(t, d), `"coco_url"`))
	require.Equal(t, 1, strings.Count(written(t, d), `"name"`))
	require.Equal(t, 1, strings.Count(written(t, d), `"info"`))
}
