package coco

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

// rebuilt returns data sets as a Builder makes them of their images, after edit has seen each.
func rebuilt(t *testing.T, b *Builder, edit func(*LabeledImage), sets ...*Dataset) *Dataset {
	t.Helper()
	for _, d := range sets {
		for p, err := range d.LabeledImages() {
			require.NoError(t, err)
			if edit != nil {
				edit(p)
			}
			require.NoError(t, b.Add(p))
		}
	}
	out, err := Read(strings.NewReader(written(t, &b.Dataset)))
	require.NoError(t, err)
	require.Nil(t, out.Clean(CleanOptions{}), "it can be used")
	return out
}

// What a Builder makes of the images of a data set is that data set.
func TestBuilderKeepsWhatIsRead(t *testing.T) {
	for name, c := range roundTrips {
		t.Run(name, func(t *testing.T) {
			d := readText(t, c.in)
			want := content(t, written(t, d))
			b := NewBuilder(d.Categories)
			rebuilt(t, b, nil, d)
			notes := b.Notes()
			if name == "other forms of the same" { // a box of nulls
				require.Equal(t, []string{"1 annotations have no box and get that of the mask (the first: of , id 2)"}, notes)
				want = content(t, strings.Replace(written(t, d), `"bbox":[]`, `"bbox":[1,1,1,3]`, 1))
			} else {
				require.Empty(t, notes)
			}
			require.Empty(t, cmp.Diff(want, content(t, written(t, &b.Dataset))))
			require.Equal(t, written(t, readText(t, c.in)), written(t, d), "what was read is as it was")
		})
	}
}

const twoObjects = `{"images": [{"id": 3, "width": 10, "height": 8, "file_name": "a"}], "categories": [{"id": 1, "name": "a", "supercategory": "s"}],
	"annotations": [{"id": 5, "image_id": 3, "category_id": 1, "iscrowd": 0, "ignore": 1, "area": 8.5, "bbox": [1, 1, 3.5, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], "attributes": {"x": 1}},
		{"id": 6, "image_id": 3, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [1, 1, 2, 2], "segmentation": []}]}`

// Only what is another is written anew.
func TestBuilderComputesWhatChanged(t *testing.T) {
	square := mask.NewBitmap(10, 8)
	for y := range 4 {
		for x := range 4 {
			square.Set(x+2, y+2, true)
		}
	}
	moved := square.RLE()
	const computed = "1 annotations have another mask or box than was read: their areas are computed (the first: of a, id 5)"
	for name, c := range map[string]struct {
		edit func(p *LabeledImage, v *LabeledInstance)
		want func(d *Dataset, a *Annotation) // what it makes of what was read
		note string
	}{
		"nothing":                {},
		"the mask, encoded anew": {edit: func(_ *LabeledImage, v *LabeledInstance) { v.Mask = v.Mask.Bitmap().RLE() }},
		"another mask": {func(_ *LabeledImage, v *LabeledInstance) { v.Mask = moved }, func(_ *Dataset, a *Annotation) {
			a.Area, a.BBox, a.Segmentation = 16, [4]float64{2, 2, 4, 4}, NewSegmentation(moved)
		}, computed},
		"another mask and box": {func(_ *LabeledImage, v *LabeledInstance) { v.Mask, v.Box = moved, [4]float64{2, 2, 4, 4.5} }, func(_ *Dataset, a *Annotation) {
			a.Area, a.BBox, a.Segmentation = 16, [4]float64{2, 2, 4, 4.5}, NewSegmentation(moved)
		}, computed},
		"the box":   {edit: func(_ *LabeledImage, v *LabeledInstance) { v.Box[2] = 4 }, want: func(_ *Dataset, a *Annotation) { a.BBox[2] = 4 }},
		"the crowd": {edit: func(_ *LabeledImage, v *LabeledInstance) { v.Crowd = true }, want: func(_ *Dataset, a *Annotation) { a.Crowd = true }},
		"the score": {edit: func(_ *LabeledImage, v *LabeledInstance) { v.Score, v.HasScore = 0.5, true },
			want: func(_ *Dataset, a *Annotation) { a.Extra["score"] = json.RawMessage("0.5") }},
		"the class": {edit: func(_ *LabeledImage, v *LabeledInstance) { v.CategoryID, v.Category = 0, "b" }, want: func(d *Dataset, a *Annotation) {
			a.CategoryID = 2
			d.Categories = append(d.Categories, Category{ID: 2, Name: "b"})
		}},
		"the box without a mask": {func(p *LabeledImage, _ *LabeledInstance) { p.Instances[1].Box[2] = 5 }, func(d *Dataset, _ *Annotation) {
			d.Annotations[1].Area, d.Annotations[1].BBox[2] = 10, 5
		}, strings.Replace(computed, "id 5", "id 6", 1)},
		"a file's name":  {edit: func(p *LabeledImage, _ *LabeledInstance) { p.FileName = "b" }, want: func(d *Dataset, _ *Annotation) { d.Images[0].FileName = "b" }},
		"an object less": {edit: func(p *LabeledImage, _ *LabeledInstance) { p.Instances = p.Instances[1:] }, want: func(d *Dataset, _ *Annotation) { d.Annotations = d.Annotations[1:] }},
		"an object more": {edit: func(p *LabeledImage, _ *LabeledInstance) {
			p.Instances = slices.Insert(p.Instances, 0, LabeledInstance{CategoryID: 1, Category: "a", Mask: moved})
		}, want: func(d *Dataset, _ *Annotation) {
			d.Annotations = append(d.Annotations, Annotation{ID: 7, ImageID: 3, CategoryID: 1, Area: 16, HasArea: true, BBox: [4]float64{2, 2, 4, 4}, HasBBox: true, Segmentation: NewSegmentation(moved)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, want := readText(t, twoObjects), readText(t, twoObjects)
			if c.want != nil {
				c.want(want, &want.Annotations[0])
			}
			b := NewBuilder(d.Categories)
			rebuilt(t, b, func(p *LabeledImage) {
				if c.edit != nil {
					c.edit(p, &p.Instances[0])
				}
			}, d)
			require.Empty(t, cmp.Diff(content(t, written(t, want)), content(t, written(t, &b.Dataset))))
			require.Equal(t, written(t, readText(t, twoObjects)), written(t, d), "what was read is as it was")
			if c.note == "" {
				require.Empty(t, b.Notes())
			} else {
				require.Equal(t, []string{c.note}, b.Notes())
			}
		})
	}
}

// What is missing for other tools is computed, and said.
func TestBuilderCompletes(t *testing.T) {
	for fields, want := range map[string]string{
		`"area": NaN, "bbox": [1, 1, 3, 3]`:  `"area":9,"bbox":[1,1,3,3]`,
		`"bbox": [1, 1, 3, 3]`:               `"area":9,"bbox":[1,1,3,3]`,
		`"area": null, "bbox": [1, 1, 3, 3]`: `"area":9,"bbox":[1,1,3,3]`,
		`"area": 8`:                          `"area":8,"bbox":[1,1,3,3]`,
		`"area": 8, "bbox": null`:            `"area":8,"bbox":[1,1,3,3]`,
	} {
		d := readAs(t, "", fields+`, "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]`, "")
		b := NewBuilder(d.Categories)
		rebuilt(t, b, nil, d)
		require.Contains(t, written(t, &b.Dataset), want)
		require.Len(t, b.Notes(), 1, fields)
		require.Contains(t, b.Notes()[0], "(the first: of , id 1)")
	}
	d := readAs(t, "", `"area": "many", "bbox": [1, 1, 3, 3], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]`, "")
	b := NewBuilder(d.Categories)
	rebuilt(t, b, nil, d)
	require.Contains(t, written(t, &b.Dataset), `"area":"many"`)
	require.Empty(t, b.Notes())
}

// Data sets that are joined keep their ids, but for those that another has.
func TestBuilderJoins(t *testing.T) {
	one := `{"info": {"year": 1}, "licenses": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}],
		"images": [{"id": 1, "width": 10, "height": 8, "file_name": "a", "license": 2}, {"id": 4, "width": 10, "height": 8, "file_name": "b", "neg_category_ids": [2]}],
		"annotations": [{"id": 10, "image_id": 1, "category_id": 1, "area": 4, "bbox": [1, 1, 2, 2]}, {"id": 11, "image_id": 4, "category_id": 1, "area": 4, "bbox": [1, 1, 2, 2]}],
		"categories": [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "dog"}], "more": 1}`
	two := `{"info": {"year": 2}, "licenses": [{"id": 1, "name": "x"}, {"id": 2, "name": "z"}],
		"images": [{"id": 4, "width": 10, "height": 8, "file_name": "c", "license": 2, "neg_category_ids": [2]}, {"id": 5, "width": 10, "height": 8, "file_name": "d", "license": 1}],
		"annotations": [{"id": 11, "image_id": 4, "category_id": 1, "area": 4, "bbox": [1, 1, 2, 2], "x": 1}, {"id": 12, "image_id": 5, "category_id": 3, "area": 4, "bbox": [1, 1, 2, 2]}],
		"categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "kite", "frequency": "r"}, {"id": 3, "name": "car"}], "more": 2, "other": 3}`
	b := NewBuilder(nil)
	rebuilt(t, b, nil, readText(t, one), readText(t, two))
	require.Empty(t, cmp.Diff(content(t, `{"info": {"year": 1}, "licenses": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}, {"id": 3, "name": "z"}],
		"images": [{"id": 1, "width": 10, "height": 8, "file_name": "a", "license": 2}, {"id": 4, "width": 10, "height": 8, "file_name": "b", "neg_category_ids": [2]},
			{"id": 6, "width": 10, "height": 8, "file_name": "c", "license": 3, "neg_category_ids": [4]}, {"id": 5, "width": 10, "height": 8, "file_name": "d", "license": 1}],
		"annotations": [{"id": 10, "image_id": 1, "category_id": 1, "area": 4, "bbox": [1, 1, 2, 2]}, {"id": 11, "image_id": 4, "category_id": 1, "area": 4, "bbox": [1, 1, 2, 2]},
			{"id": 13, "image_id": 6, "category_id": 2, "area": 4, "bbox": [1, 1, 2, 2], "x": 1}, {"id": 12, "image_id": 5, "category_id": 3, "area": 4, "bbox": [1, 1, 2, 2]}],
		"categories": [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "dog"}, {"id": 4, "name": "kite", "frequency": "r"}, {"id": 3, "name": "car"}], "more": 1, "other": 3}`),
		content(t, written(t, &b.Dataset))))
	require.Equal(t, []string{
		"1 further data sets have another info, which is left out",
		"1 further data sets have other values of fields, which are left out (the first: more)",
		"1 licences have the id of another and are numbered anew (the first: z, id 2, is now 3)",
		"1 images have the id of another and are numbered anew (the first: c, id 4, is now 6)",
		"1 categories have the id of another and are numbered anew (the first: kite, id 2, is now 4)",
		"1 annotations have the id of another and are numbered anew (the first: of c, id 11, is now 13)",
	}, b.Notes())
}

// Results keep the fields that are not known, in a data set too.
func TestResultsKeepOtherFields(t *testing.T) {
	d := readText(t, twoObjects)
	text := `[{"image_id": 3, "category_id": 1, "score": 0.25, "bbox": [1, 1, 3.5, 3], "segmentation": {"size": [8, 10], "counts": "93T2"}, "model": "m", "id": 70, "area": 12, "iscrowd": 0},
		{"image_id": 3, "category_id": 1, "score": 0.5, "bbox": [1, 1, 3, 3], "more": null}]`
	results, err := ReadResults(strings.NewReader(text))
	require.NoError(t, err)
	b := NewBuilder(d.Categories)
	var back []Result
	for p, err := range ResultImages(d, results, 0) {
		require.NoError(t, err)
		back = append(back, p.Results()...)
		require.NoError(t, b.Add(p))
	}
	var out bytes.Buffer
	require.NoError(t, WriteResults(&out, back))
	require.JSONEq(t, text, out.String())
	require.Empty(t, b.Notes())
	require.Equal(t, content(t, `{"images": [{"id": 3, "width": 10, "height": 8, "file_name": "a"}], "categories": [{"id": 1, "name": "a", "supercategory": "s"}],
		"annotations": [{"id": 70, "image_id": 3, "category_id": 1, "iscrowd": 0, "area": 12, "bbox": [1, 1, 3.5, 3], "segmentation": {"size": [8, 10], "counts": "93T2"}, "model": "m", "score": 0.25},
			{"id": 71, "image_id": 3, "category_id": 1, "iscrowd": 0, "area": 9, "bbox": [1, 1, 3, 3], "more": null, "score": 0.5}]}`), content(t, written(t, &b.Dataset)))
}

func TestIDSet(t *testing.T) {
	var s idSet
	for _, id := range []int64{1, 2, 4, 6, 5, -3, 0, 3} {
		require.False(t, s.has(id))
		s.add(id)
		require.True(t, s.has(id))
	}
	require.EqualValues(t, 6, s.dense)
	require.Len(t, s.others, 2, "those below 1")
	require.EqualValues(t, 7, s.fresh())
	s.add(1<<63 - 1)
	require.False(t, s.has(s.fresh()))
}
