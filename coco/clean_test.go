package coco

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	read := func() *Dataset {
		d, err := Read(strings.NewReader(`{"images": [{"id": 1, "width": 10, "height": 8}, {"id": 1, "width": 9, "height": 9}, {"id": 2}],
			"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "annotations": [
			{"id": 1, "image_id": 1, "category_id": 1, "area": -5, "bbox": [1, 1, -2, 2], "segmentation": [[1, 1, 4, 1, 4, 4], [1, 1, 5, 5], [1, 2, 3, 4, 5, 6, 7], [20, 1, 24, 1, 24, 4]]},
			{"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 5]], "bbox": [1, 1, 4, 4]},
			{"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]},
			{"id": 4, "image_id": 1, "category_id": 1, "segmentation": {"size": [8, 10], "counts": [79]}},
			{"id": 5, "image_id": 1, "category_id": 1, "segmentation": {"size": [8, 9], "counts": [72]}},
			{"id": 6, "image_id": 1, "category_id": 1, "segmentation": {"size": [8, 10], "counts": "93T2"}},
			{"id": 60, "image_id": 1, "category_id": 1, "segmentation": {"size": [8, 10], "counts": "93T2"}},
			{"id": 7, "image_id": 9, "category_id": 1, "segmentation": {"size": [8, 10], "counts": "93T2"}},
			{"id": 8, "image_id": 1, "category_id": 9, "segmentation": {"size": [8, 10], "counts": "93T2"}},
			{"id": 9, "image_id": 2, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4]]},
			{"id": 10, "image_id": 1, "category_id": 1}]}`))
		require.NoError(t, err)
		d.Annotations[6].ID = 6 // Read numbers such anew
		return d
	}
	ids := func(d *Dataset) (out []int64) {
		for _, a := range d.Annotations {
			out = append(out, a.ID)
		}
		return out
	}
	d := read()
	require.ErrorContains(t, d.Clean(CleanOptions{Masks: true, Boxes: true}), "contradict")
	kept, contradiction := d.CleanResults([]Result{{}}, CleanOptions{Masks: true, Boxes: true})
	require.Nil(t, kept)
	require.ErrorContains(t, contradiction, "contradict")
	problems := d.Clean(CleanOptions{Masks: true})
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	require.Equal(t, []string{
		"image 1 (record 1): the id is that of record 0, too",
		"image 2 (record 2): it has no size (width 0, height 0), which its 1 masks need",
		"category 1 (record 1): the id is that of record 0, too",
		"annotation 1 (record 0): box [1 1 -2 2] has a negative side",
		"annotation 1 (record 0): polygon 1: 2 points, fewer than 3",
		"annotation 1 (record 0): polygon 2: 7 coordinates, an odd number",
		"annotation 1 (record 0): polygon 3: it lies outside the image of 10×8 pixels",
		"annotation 2 (record 1): polygon 0: 2 points, fewer than 3",
		"annotation 3 (record 2): no segmentation",
		"annotation 4 (record 3): mask: 1 runs cover 79 of the 80 pixels of a 10×8 mask",
		"annotation 5 (record 4): segmentation of 9×8 pixels on an image of 10×8",
		"annotation 6 (record 6): the id is that of record 5, too",
		"annotation 7 (record 7): image 9 is not in the data set",
		"annotation 8 (record 8): category 9 is not in the data set",
		"annotation 10 (record 10): no segmentation",
	}, lines)
	require.Equal(t, []int64{1, 6}, ids(d))
	require.Equal(t, [][]float64{{1, 1, 4, 1, 4, 4}}, d.Annotations[0].Segmentation.Polygons)
	require.False(t, d.Annotations[0].HasBBox)
	require.Len(t, d.Images, 1)
	require.Nil(t, d.Clean(CleanOptions{Masks: true}))

	d = read()
	d.Clean(CleanOptions{Size: func(m *Image) (int, int, error) { return 7, 6, nil }})
	require.Equal(t, []int64{1, 3, 6, 9}, ids(d), "a box is enough")
	require.Equal(t, 7, d.Images[1].Width)
	d = read()
	problems = d.Clean(CleanOptions{Size: func(m *Image) (int, int, error) { return 0, 0, errors.New("gone") }})
	require.ErrorContains(t, problems, "image 2 (record 2): it has no size (width 0, height 0); its picture: gone, which its 1 masks need")
}

func TestCrowds(t *testing.T) {
	d := &Dataset{Annotations: []Annotation{{ID: 1, Crowd: true}, {ID: 2, Crowd: true}}}
	require.ErrorContains(t, d.CheckCrowds(), "all 2 annotations are crowds (iscrowd 1")
	require.ErrorIs(t, d.CheckCrowds(), ErrAllCrowds)
	require.ErrorContains(t, d.Validate(), "all 2 annotations are crowds")
	d.Annotations[0].Crowd = false
	require.NoError(t, d.CheckCrowds())
	require.Equal(t, 1, d.CrowdsToObjects())
	require.False(t, d.Annotations[1].Crowd)
	require.NoError(t, (&Dataset{}).CheckCrowds())
}
