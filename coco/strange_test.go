package coco

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readAs reads a data set of one image, one annotation and one category, each with more fields.
func readAs(t *testing.T, image, annotation, category string) *Dataset {
	t.Helper()
	more := func(s string) string {
		if s != "" {
			s = ", " + s
		}
		return s
	}
	d, err := Read(strings.NewReader(`{"images": [{"id": 1, "width": 10, "height": 8` + more(image) + `}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 1` + more(annotation) + `}],
		"categories": [{"id": 1, "name": "a"` + more(category) + `}]}`))
	require.NoError(t, err)
	return d
}

// What nothing is computed with comes out as it went in.
func TestFieldsOfStrangeTypesAreKept(t *testing.T) {
	for _, c := range []struct{ image, category, kept string }{
		{`"date_captured": 0`, "", `"date_captured":0`},
		{`"date_captured": {"$date": 5}`, "", `"date_captured":{"$date":5}`},
		{`"license": ""`, "", `"license":""`},
		{`"license": "CC BY"`, "", `"license":"CC BY"`},
		{`"license": 1.5`, "", `"license":1.5`},
		{`"license": [1]`, "", `"license":[1]`},
		{`"coco_url": 3`, "", `"coco_url":3`},
		{`"flickr_url": false`, "", `"flickr_url":false`},
		{"", `"supercategory": 5`, `"supercategory":5`},
		{"", `"supercategory": ["x"]`, `"supercategory":["x"]`},
		{"", `"synonyms": "a"`, `"synonyms":"a"`},
		{"", `"synonyms": [1]`, `"synonyms":[1]`},
		{"", `"image_count": "many"`, `"image_count":"many"`},
		{"", `"frequency": 1`, `"frequency":1`},
		{`"score": NaN, "list": [-Infinity, Infinity]`, "", `"list":[null,null]`},
	} {
		d := readAs(t, c.image, "", c.category)
		var out bytes.Buffer
		require.NoError(t, d.Write(&out))
		require.True(t, json.Valid(out.Bytes()))
		require.Contains(t, out.String(), c.kept)
	}
	d, err := Read(strings.NewReader(`{"licenses": {"id": ""}, "info": [], "images": []}`))
	require.NoError(t, err)
	require.Equal(t, `{"id":""}`, string(d.Extra["licenses"]))
	d, err = Read(strings.NewReader(`{"licenses": [{"id": "", "name": 3}], "categories": [{"id": 1, "name": 7}]}`))
	require.NoError(t, err)
	require.Equal(t, "7", d.Categories[0].Name)
	var out bytes.Buffer
	require.NoError(t, d.Write(&out))
	require.Contains(t, out.String(), `{"id":"","name":3}`)
	require.Contains(t, out.String(), `{"id":1,"name":7}`)
}

func TestNumbersAsStrings(t *testing.T) {
	d := readAs(t, `"width": "12", "height": "9.0"`, `"area": "12.5", "bbox": ["1", 2, " 3 ", 4], "iscrowd": "1", "segmentation": [["1", 1, 4, "1", 4, 4.5]]`, "")
	require.Equal(t, []int{12, 9}, []int{d.Images[0].Width, d.Images[0].Height})
	a := d.Annotations[0]
	require.Equal(t, 12.5, a.Area)
	require.Equal(t, [4]float64{1, 2, 3, 4}, a.BBox)
	require.True(t, a.Crowd)
	require.Equal(t, [][]float64{{1, 1, 4, 1, 4, 4.5}}, a.Segmentation.Polygons)
}

// A box of nulls is none.
func TestBoxesOfNull(t *testing.T) {
	require.False(t, readAs(t, "", `"bbox": [null, null, null, null]`, "").Annotations[0].HasBBox)
	for _, box := range []string{"[null]", "[null, 1, 2, 3]", "[1, null, 2, 3]"} {
		_, err := Read(strings.NewReader(`{"annotations": [{"id": 4, "image_id": 1, "category_id": 1, "bbox": ` + box + `}]}`))
		require.ErrorContains(t, err, "annotation 4 (record 0): bbox: byte", box)
	}
}

func TestStatsHaveStringIDs(t *testing.T) {
	d, err := Read(strings.NewReader(`{"categories": [{"id": "cell", "name": "a"}]}`))
	require.NoError(t, err)
	require.Equal(t, "cell", d.Stats().PerCategory[0].Key)
	var out bytes.Buffer
	require.NoError(t, d.Stats().WriteText(&out))
	require.Contains(t, out.String(), "cell  a")
}

func TestMasksInOtherForms(t *testing.T) {
	square, runs := []float64{1, 1, 4, 1, 4, 4, 1, 4}, []uint32{9, 3, 68}
	for text, want := range map[string]Segmentation{
		`[1, 1, 4, 1, 4, 4, 1, 4]`:                                                                 {Polygons: [][]float64{square}},
		`["1", 1, 4, 1, 4, 4, 1, "4"]`:                                                             {Polygons: [][]float64{square}},
		`[[1, 1], [4, 1], [4, 4], [1, 4]]`:                                                         {Polygons: [][]float64{square}},
		`[[[1, 1], [4, 1], [4, 4], [1, 4]]]`:                                                       {Polygons: [][]float64{square}},
		`[{"size": [8, 10], "counts": [9, 3, 68]}]`:                                                {Height: 8, Width: 10, Counts: runs},
		`{"size": ["8", 10.0], "counts": ["9", 3, 68], "more": {"x": [NaN]}}`:                      {Height: 8, Width: 10, Counts: runs},
		`{"counts": "b'93T2'", "size": [8, 10]}`:                                                   {Height: 8, Width: 10, Compressed: "93T2"},
		`{"counts": "b'9\\\\3'", "size": [8, 10]}`:                                                 {Height: 8, Width: 10, Compressed: `9\3`},
		`[{"size": [8, 10], "counts": [9, 3, 68]}, {"size": [8, 10], "counts": [80]}]`:             {Height: 8, Width: 10, Compressed: "93T2"},
		`[{"size": [8, 10], "counts": [80]}, [1, 1, 2, 1, 2, 4, 1, 4]]`:                            {Height: 8, Width: 10, Compressed: "93T2"},
		`[[{"x": 1, "y": 1}, {"y": "1", "x": 4, "id": [{}]}, {"x": 4, "y": 4}, {"x": 1, "y": 4}]]`: {Polygons: [][]float64{square}},
		`[{"x": 1, "y": 1}, {"x": 4, "y": 1}, {"x": 4, "y": 4}, {"x": 1, "y": 4}]`:                 {Polygons: [][]float64{square}},
		`"[[1, 1, 4, 1, 4, 4, 1, 4]]"`:                                                             {Polygons: [][]float64{square}},
		`" {\"size\": [8, 10], \"counts\": [9, 3, 68]} "`:                                          {Height: 8, Width: 10, Counts: runs},
		`"[]"`: {}, `""`: {}, `[]`: {}, `{}`: {}, `null`: {},
	} {
		require.Equal(t, want, readAs(t, "", `"segmentation": `+text, "").Annotations[0].Segmentation, text)
	}
}

// A part of a mask that cannot be read is left out alone, where masks are used.
func TestReadLeavesOutParts(t *testing.T) {
	d, err := Read(strings.NewReader(`{"annotations": [{"id": 4, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4], [1, null], [{}]], "bbox": [1]},
		{"id": 5, "image_id": 1, "category_id": 1, "segmentation": [["a"]], "bbox": [1, 1, 2, 2]}]}`))
	var problems Problems
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 1, "the box")
	require.Len(t, d.Annotations, 2)
	require.False(t, d.Annotations[0].HasBBox)
	require.True(t, d.Annotations[1].HasBBox)
	_, err = d.Annotations[0].Segmentation.RLE(5, 5)
	require.ErrorContains(t, err, "segmentation: part 1: byte")
	require.ErrorContains(t, d.Write(&bytes.Buffer{}), "annotations: record 0: segmentation: part 1: byte")
	d.Images, d.Categories = []Image{{ID: 1, Width: 5, Height: 5}}, []Category{{ID: 1, Name: "a"}}
	require.Equal(t, 1, strings.Count(d.Validate().Error(), "annotation 4 (record 0): segmentation: part 1"))
	boxes := *d
	boxes.Annotations = slices.Clone(d.Annotations)
	require.Len(t, boxes.Clean(CleanOptions{Boxes: true}), 2, "of the annotation without a box")
	require.Len(t, boxes.Annotations, 2)
	require.True(t, boxes.Annotations[1].Segmentation.Empty())
	require.Len(t, d.Clean(CleanOptions{}), 4)
	require.Len(t, d.Annotations, 1)
	require.Equal(t, [][]float64{{1, 1, 4, 1, 4, 4}}, d.Annotations[0].Segmentation.Polygons)
}

// A mask that cannot be read is a problem where it is used.
func TestUnreadableMasks(t *testing.T) {
	for text, want := range map[string]string{
		`[1, {}, 3]`: "segmentation: byte", `[["a"], [1, 2]]`: "segmentation: part 0: byte", `[[NaN, 2]]`: "segmentation: part 0: byte",
		`"a"`: "segmentation: byte", `{"size": [1, 2]}`: "segmentation: byte", `{"counts": [-1]}`: "segmentation: byte",
		`{"size": [1,-2]}`: "segmentation: byte", `{"size": [1,2,3]}`: "segmentation: byte", `{"counts": [1e10]}`: "segmentation: byte",
	} {
		d := readAs(t, "", `"segmentation": `+text, "")
		_, err := d.Annotations[0].Segmentation.RLE(10, 8)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, d.Validate(), "annotation 1 (record 0): "+want)
		require.ErrorContains(t, d.Clean(CleanOptions{}), "annotation 1 (record 0): "+want)
		require.Empty(t, d.Annotations)
		results, err := ReadResults(strings.NewReader(`[{"image_id": 1, "category_id": 1, "score": 1, "segmentation": ` + text + `}]`))
		require.NoError(t, err)
		d = readAs(t, "", `"bbox": [1, 1, 2, 2]`, "")
		_, err = Evaluate(t.Context(), d, results, Options{IoU: BBox})
		require.ErrorContains(t, err, "result 0 (image 1): "+want)
	}
}

// Boxes are compared without looking at masks, and any area is good enough.
func TestOnlyWhatIsComparedIsRequired(t *testing.T) {
	for _, area := range []string{`NaN`, `-Infinity`, `Infinity`, `-3`, `"many"`, `{"x": 1}`, `1e999`} {
		const box = `"bbox": [1, 1, 3, 3]`
		d := readAs(t, "", `"area": `+area+`, "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]], `+box, "")
		require.ErrorContains(t, d.Validate(), "annotation 1 (record 0): area ", area)
		require.Nil(t, d.Clean(CleanOptions{Masks: true}))
		results, err := ReadResults(strings.NewReader(`[{"image_id": 1, "category_id": 1, "score": 1, ` + box + `, "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]}]`))
		require.NoError(t, err)
		report, err := Evaluate(t.Context(), d, results, Options{})
		require.NoError(t, err)
		small, _ := report.Metric("APs")
		require.InDelta(t, 1, small, 1e-9, area)
		require.NoError(t, d.Write(&bytes.Buffer{}))

		d = readAs(t, "", `"area": `+area+`, "segmentation": [[1, 1]], `+box, "")
		require.Nil(t, d.Clean(CleanOptions{Boxes: true}))
		results, err = ReadResults(strings.NewReader(`[{"image_id": 1, "category_id": 1, "score": 1, ` + box + `, "segmentation": [[1]]}]`))
		require.NoError(t, err)
		cleaned, problems := d.CleanResults(results, CleanOptions{Boxes: true})
		require.Empty(t, problems)
		for _, results := range [][]Result{results, cleaned} {
			report, err = Evaluate(t.Context(), d, results, Options{IoU: BBox})
			require.NoError(t, err)
			small, _ = report.Metric("APs")
			require.InDelta(t, 1, small, 1e-9, area)
		}
	}
}

// Messages name a record by its number in the file, whatever was left out before it.
func TestRecordNumbersAreOfTheFile(t *testing.T) {
	d, err := Read(strings.NewReader(`{"images": [7, {"id": 1, "width": 10, "height": 8}, {"id": 2}, {"id": 2, "width": 1, "height": 1}],
		"categories": [{"name": "x"}, {"id": 1, "name": "a"}, {"id": 1, "name": "a"}],
		"annotations": [{"id": 1}, {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 1, 1, 1]}, {}, {"id": 4, "image_id": 9, "category_id": 1},
		{"id": 5, "image_id": 1, "category_id": 1, "segmentation": [[1, 1]]}, {"id": 6, "image_id": 1, "category_id": 1, "bbox": [1, 1, 1, 1]}]}`))
	require.ErrorContains(t, err, "annotation 0 (record 2)")
	require.Len(t, d.Annotations, 4)
	d.Annotations[3].ID = 5 // Read numbers such anew
	problems := d.Clean(CleanOptions{})
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	require.Equal(t, []string{
		"image 2 (record 3): the id is that of record 2, too",
		"category 1 (record 2): the id is that of record 1, too",
		"annotation 4 (record 3): image 9 is not in the data set",
		"annotation 5 (record 4): polygon 0: 1 points, fewer than 3",
		"annotation 5 (record 5): the id is that of record 4, too",
	}, lines)
	require.Len(t, d.Annotations, 1)
	d.Annotations[0].HasBBox = false
	require.ErrorContains(t, d.Clean(CleanOptions{}), "annotation 2 (record 1): neither a mask nor a box")

	results, err := ReadResults(strings.NewReader(`[{}, {"image_id": 4, "category_id": 1, "score": 1}, {"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 1, 2, 2]}]`))
	require.ErrorContains(t, err, "result 0")
	results, problems = d.CleanResults(results, CleanOptions{Boxes: true})
	require.Len(t, problems, 2)
	require.EqualError(t, problems[0], "result 1 (image 4): the image is not in the data set")
	_, err = Evaluate(t.Context(), d, results, Options{})
	require.ErrorContains(t, err, "result 2 (image 1): no mask")
	require.Len(t, results, 1)
	d.Limit(1)
	require.Len(t, d.Images, 1)
}

func TestStringIDs(t *testing.T) {
	const text = `{"images": [{"id": "0001", "width": 3, "height": 3}, {"id": "1", "width": 3, "height": 3}, {"id": 2, "width": 3, "height": 3}],
		"annotations": [{"id": "x", "image_id": "0001", "category_id": "nucleus"}, {"id": "7", "image_id": 1, "category_id": "nucleus"},
		{"id": 8, "image_id": "2", "category_id": "nucleus"}, {"id": 9, "image_id": "gone", "category_id": "nucleus"}], "categories": [{"id": "nucleus", "name": "n"}]}`
	d, err := Read(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, []string{"0001", "1", ""}, []string{d.Images[0].Key(), d.Images[1].Key(), d.Images[2].Key()})
	require.Equal(t, []int64{KeyID("0001"), 1, 2}, []int64{d.Images[0].ID, d.Images[1].ID, d.Images[2].ID})
	require.Equal(t, []int64{KeyID("0001"), 1, 2}, []int64{d.Annotations[0].ImageID, d.Annotations[1].ImageID, d.Annotations[2].ImageID})
	require.Negative(t, KeyID("0001"))
	_, problems := d.index()
	require.Len(t, problems, 1)
	require.EqualError(t, problems[0], `annotation 9 (record 3): image "gone" is not in the data set`)

	var out bytes.Buffer
	require.NoError(t, d.Write(&out))
	for _, record := range []string{`{"id":"0001"}`, `{"id":"1"}`, `{"id":2,`, `"image_id":"0001","category_id":"nucleus"`, `"image_id":"1",`, `"image_id":2,`, `"image_id":"gone"`} {
		require.Contains(t, strings.ReplaceAll(out.String(), `"width":3,"height":3,"id":`, `"id":`), record)
	}
	again, err := Read(&out)
	require.NoError(t, err)
	same(t, d, again)

	results, err := ReadResults(strings.NewReader(`[{"image_id": "0001", "category_id": "nucleus", "score": 1}, {"image_id": "1", "category_id": 1, "score": 1}]`))
	require.NoError(t, err)
	require.Equal(t, d.Images[0].ID, results[0].ImageID)
	require.Equal(t, d.Categories[0].ID, results[0].CategoryID)
	out.Reset()
	require.NoError(t, WriteResults(&out, results))
	require.Contains(t, out.String(), `"image_id":"0001"`)
	require.Contains(t, out.String(), `"image_id":"1"`)
}

func TestByteOrderMarks(t *testing.T) {
	for _, mark := range []string{"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"} {
		write := func(text string) string {
			if len(mark) == 3 {
				return mark + text
			}
			out := mark
			for _, c := range []byte(text) { // ASCII
				if mark[0] == 0xFF {
					out += string([]byte{c, 0})
				} else {
					out += string([]byte{0, c})
				}
			}
			return out
		}
		d, err := Read(strings.NewReader(write(`{"images": [{"id": 3}]}`)))
		require.NoError(t, err)
		require.Equal(t, int64(3), d.Images[0].ID)
		results, err := ReadResults(strings.NewReader(write(`[{"image_id": 3, "category_id": 1, "score": 1}]`)))
		require.NoError(t, err)
		require.Len(t, results, 1)
		p, err := ReadLabelMe(strings.NewReader(write(`{"imagePath": "a.png", "imageHeight": 2, "imageWidth": 3, "shapes": []}`)), LabelMeReadOptions{})
		require.NoError(t, err)
		require.Equal(t, 3, p.Width)
	}
}

// Nothing refers to the id of an annotation, so it may be missing.
func TestAnnotationsWithoutIDs(t *testing.T) {
	d, err := Read(strings.NewReader(`{"images": [{"id": 1}], "categories": [{"id": 1, "name": "a"}], "annotations": [
		{"image_id": 1, "category_id": 1}, {"id": 7, "image_id": 1, "category_id": 1}, {"id": null, "image_id": 1, "category_id": 1}, {"id": {}, "image_id": 1, "category_id": 1}, {"image_id": 1}]}`))
	problems, ok := AsProblems(err)
	require.True(t, ok)
	costly, harmless := problems.Split()
	require.Len(t, costly, 2)
	require.Contains(t, costly[0].Error(), "annotation 0 (record 3): id: byte")
	require.EqualError(t, costly[1], "annotation 0 (record 4): no category_id")
	require.Len(t, harmless, 1)
	require.EqualError(t, harmless[0], "2 annotations have no id: they are numbered")
	require.Len(t, d.Annotations, 3)
	require.Equal(t, []int64{8, 7, 9}, []int64{d.Annotations[0].ID, d.Annotations[1].ID, d.Annotations[2].ID})
}

// Nor does it matter whether two have the same one: no object is lost by it.
func TestAnnotationsWithOneID(t *testing.T) {
	const text = `{"images": [{"id": 1, "width": 9, "height": 9}], "categories": [{"id": 1, "name": "a"}], "annotations": [
		{"id": 7}, {"id": 7, "image_id": 1, "category_id": 1, "area": NaN, "bbox": [1, 1, 2, 2]}, {"id": 7, "image_id": 1, "category_id": 1, "bbox": [4, 4, 2, 2]},
		{"id": 7, "image_id": 1, "category_id": 1, "area": NaN, "bbox": [1, 1, 2, 2]}, {"id": "x", "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]},
		{"id": "x", "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 3]}, {"id": 7, "image_id": 1, "category_id": 1, "bbox": [4, 4, 2, 2]}, {"id": 9, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}]}`
	d, err := Read(strings.NewReader(text))
	problems, _ := AsProblems(err)
	costly, harmless := problems.Split()
	require.Len(t, costly, 1, "record 0")
	var said []string
	for _, p := range harmless {
		said = append(said, p.Error())
	}
	require.Equal(t, []string{
		"2 annotations are exact copies of others and are left out (the first: records 1 and 3, id 7)",
		"2 annotations have the id of another that differs: they are kept and numbered anew (the first: records 1 and 2, id 7)",
	}, said)
	var ids []int64
	for _, a := range d.Annotations {
		ids = append(ids, a.ID)
	}
	require.Equal(t, []int64{7, 10, KeyID("x"), 11, 9}, ids)
	require.Equal(t, [4]float64{4, 4, 2, 2}, d.Annotations[1].BBox)
	require.Nil(t, d.Clean(CleanOptions{}))
	var out bytes.Buffer
	require.NoError(t, d.Write(&out))
	require.Equal(t, 1, strings.Count(out.String(), `"id":"x"`))
	_, err = Read(&out)
	require.NoError(t, err)
}
