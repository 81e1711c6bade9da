package coco

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsAsStrings(t *testing.T) {
	for text, want := range map[string]bool{`"false"`: false, `"True"`: true, `"1"`: true, `" 0 "`: false, `""`: false, `true`: true} {
		require.Equal(t, want, readAs(t, "", `"iscrowd": `+text, "").Annotations[0].Crowd, text)
	}
	_, err := Read(strings.NewReader(`{"annotations": [{"id": 4, "image_id": 1, "category_id": 1, "iscrowd": "maybe"}]}`))
	require.ErrorContains(t, err, `annotation 4 (record 0): iscrowd: byte 78: "maybe" is not 0 or 1`)
}

// Ids of more digits than an int64 holds, such as UUIDs, are matched as keys.
func TestIDsOfManyDigits(t *testing.T) {
	const id = "202401011234567890123456789"
	d, err := Read(strings.NewReader(`{"images": [{"id": ` + id + `, "width": 3, "height": 3}], "categories": [{"id": 1, "name": "a"}],
		"annotations": [{"id": ` + id + `9, "image_id": ` + id + `, "category_id": 1, "bbox": [0, 0, 1, 1]}, {"id": 2, "image_id": "` + id + `", "category_id": 1, "bbox": [0, 0, 1, 2]}]}`))
	require.NoError(t, err)
	require.Nil(t, d.Clean(CleanOptions{}))
	require.Equal(t, id, d.Images[0].Key())
	require.Equal(t, KeyID(id), d.Annotations[0].ImageID)
	require.Equal(t, KeyID(id), d.Annotations[1].ImageID)
	var out bytes.Buffer
	require.NoError(t, d.Write(&out))
	again, err := Read(&out)
	require.NoError(t, err)
	same(t, d, again)
	for _, bad := range []string{id + ".5", "1e400", "1.5", "-"} {
		_, err := Read(strings.NewReader(`{"images": [{"id": ` + bad + `}]}`))
		require.Error(t, err, bad)
	}
}

// A polygon of no points holds nothing, and costs nothing.
func TestEmptyPolygons(t *testing.T) {
	square := Segmentation{Polygons: [][]float64{{1, 1, 4, 1, 4, 4}}}
	for text, want := range map[string]Segmentation{"[[]]": {}, "[[], []]": {}, "[[], [1, 1, 4, 1, 4, 4], []]": square, "[[1, 1, 4, 1, 4, 4], []]": square} {
		d := readAs(t, "", `"bbox": [1, 1, 3, 3], "segmentation": `+text, "")
		require.Equal(t, want, d.Annotations[0].Segmentation, text)
		require.Nil(t, d.Clean(CleanOptions{}), text)
	}
}

// Detections with boxes alone are instances with boxes alone.
func TestResultsWithBoxesOnly(t *testing.T) {
	d := readAs(t, "", `"bbox": [1, 1, 2, 2]`, "")
	d.Annotations = nil
	results, err := ReadResults(strings.NewReader(`[{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 2, 3]},
		{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 2, 3], "segmentation": {"size": [8, 10], "counts": [9, 3, 68]}},
		{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 1, 2, 3], "segmentation": {"size": [8, 10], "counts": [9]}}]`))
	require.NoError(t, err)
	_, problems := d.CleanResults(results, CleanOptions{Masks: true})
	require.Len(t, problems, 2)
	kept, problems := d.CleanResults(results, CleanOptions{Boxes: true})
	require.Empty(t, problems)
	require.Len(t, kept, 3)
	kept, problems = d.CleanResults(results, CleanOptions{})
	require.Len(t, problems, 1, "the mask that is wrong")
	require.Len(t, kept, 2)
	for p, err := range ResultImages(d, kept, 0) {
		require.NoError(t, err)
		require.Len(t, p.Instances, 2)
		require.True(t, p.Instances[0].BoxOnly)
		require.Equal(t, [4]float64{1, 1, 2, 3}, p.Instances[0].Box)
		require.False(t, p.Instances[1].BoxOnly)
		require.Equal(t, 3, p.Instances[1].Mask.Area())
	}
}
