package coco

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func sample(t *testing.T) *Dataset {
	d, err := Read(strings.NewReader(sampleDataset))
	require.NoError(t, err)
	return d
}

func TestRead(t *testing.T) {
	want := &Dataset{
		Info:     json.RawMessage(`{"year":2017,"x":[1,{"y":null}]}`),
		Licenses: []License{{ID: 1, Name: "nü\n", URL: "u"}},
		Images: []Image{{ID: 3, Width: 5, Height: 4, FileName: "a.jpg", License: 1,
			NegCategoryIDs: []int64{2}, NotExhaustiveCategoryIDs: []int64{},
			Extra: map[string]json.RawMessage{"more": json.RawMessage("true")}}},
		Annotations: []Annotation{
			{ID: 1, ImageID: 3, CategoryID: 7, Area: 6.5, HasArea: true, BBox: [4]float64{0, 1, 2.25, 3}, HasBBox: true,
				Segmentation: Segmentation{Polygons: [][]float64{{0, 0, 2, 0, 2, 3, 0, 3}}},
				Extra:        map[string]json.RawMessage{"keypoints": json.RawMessage("[1,2,2]")}},
			{ID: 2, ImageID: 3, CategoryID: 7, Crowd: true, Segmentation: Segmentation{Height: 4, Width: 5, Counts: []uint32{3, 2, 15}}},
			{ID: 3, ImageID: 3, CategoryID: 7, Ignore: true, Segmentation: Segmentation{Height: 4, Width: 5, Compressed: "32?"}},
		},
		Categories: []Category{{ID: 7, Name: "kite", Supercategory: "s", Frequency: "r", Synset: "kite.n.03",
			Synonyms: []string{"kite", "k"}, Definition: "d", ImageCount: 2, InstanceCount: 9}},
		Extra: map[string]json.RawMessage{"type": json.RawMessage(`"instances"`)},
	}
	require.Empty(t, cmp.Diff(want, sample(t), exported))
	// However the text comes in pieces.
	d, err := Read(iotest.OneByteReader(strings.NewReader(sampleDataset)))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, d, exported))
	// A broken disk is not a syntax error.
	broken := errors.New("broken disk")
	_, err = Read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(sampleDataset))))
	require.ErrorIs(t, err, iotest.ErrTimeout)
	_, err = Read(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}

func TestIndex(t *testing.T) {
	d := &Dataset{Images: []Image{{ID: 5}, {ID: 3}}, Categories: []Category{{ID: 9}, {ID: 1}},
		Annotations: []Annotation{{ID: 10, ImageID: 3, CategoryID: 9}, {ID: 11, ImageID: 5, CategoryID: 9}, {ID: 12, ImageID: 3, CategoryID: 9}}}
	ix, err := d.Index()
	require.NoError(t, err)
	require.Equal(t, []int32{0, 2}, ix.OfImage(3))
	require.Equal(t, []int32{1}, ix.OfImage(5))
	require.Nil(t, ix.OfImage(4))
	require.Equal(t, []int32{0, 1, 2}, ix.OfCategory(9))
	require.Empty(t, ix.OfCategory(1))
	i, ok := ix.Image(3)
	require.True(t, ok)
	require.Equal(t, 1, i)
	i, ok = ix.Annotation(12)
	require.True(t, ok)
	require.Equal(t, 2, i)
	_, ok = ix.Category(2)
	require.False(t, ok)
	_, err = d.LabeledImage(ix, 8)
	require.ErrorContains(t, err, "image 8")
}

func TestValidate(t *testing.T) {
	problems := sample(t).Validate()
	require.Len(t, problems, 1, "the box of a mask is computed")
	require.ErrorContains(t, problems[0], "category 2 of its LVIS lists")
	ok := func() *Dataset {
		d := sample(t)
		d.Images[0].NegCategoryIDs = nil
		for i := range d.Annotations {
			if a := &d.Annotations[i]; !a.HasBBox {
				a.BBox, a.HasBBox = [4]float64{0, 0, 5, 4}, true
			}
		}
		return d
	}
	require.Nil(t, ok().Validate())
	for want, edit := range map[string]func(d *Dataset){
		"license 1 (record 1): the id is that of record 0":            func(d *Dataset) { d.Licenses = append(d.Licenses, d.Licenses[0]) },
		"image 3 (record 1): the id is that of record 0":              func(d *Dataset) { d.Images = append(d.Images, Image{ID: 3, Width: 1, Height: 1}) },
		"image 3 (record 0): size 0×4":                                func(d *Dataset) { d.Images[0].Width = 0 },
		`image 4 (record 1): file "a.jpg" is that of image 3`:         func(d *Dataset) { d.Images = append(d.Images, Image{ID: 4, Width: 1, Height: 1, FileName: "a.jpg"}) },
		"image 3 (record 0): license 2":                               func(d *Dataset) { d.Images[0].License = 2 },
		"image 3 (record 0): category 8 of its LVIS lists":            func(d *Dataset) { d.Images[0].NegCategoryIDs = []int64{8} },
		"image 3 (record 0): category 7 is said to be absent":         func(d *Dataset) { d.Images[0].NegCategoryIDs = []int64{7} },
		"category 7 (record 0): no name":                              func(d *Dataset) { d.Categories[0].Name = "" },
		`category 8 (record 1): name "kite" is that of category 7`:    func(d *Dataset) { d.Categories = append(d.Categories, Category{ID: 8, Name: "kite"}) },
		`category 7 (record 0): frequency "x"`:                        func(d *Dataset) { d.Categories[0].Frequency = "x" },
		"annotation 1 (record 0): area NaN":                           func(d *Dataset) { d.Annotations[0].Area = math.NaN() },
		"annotation 1 (record 0): box [0 1 -2 3] has a negative side": func(d *Dataset) { d.Annotations[0].BBox[2] = -2 },
		"annotation 1 (record 0): box [9 1 2 3] lies outside":         func(d *Dataset) { d.Annotations[0].BBox = [4]float64{9, 1, 2, 3} },
		"annotation 1 (record 0): no segmentation":                    func(d *Dataset) { d.Annotations[0].Segmentation = Segmentation{} },
		"annotation 1 (record 0): the mask has no pixel":              func(d *Dataset) { d.Annotations[0].Segmentation.Polygons[0] = []float64{1, 1, 1, 2, 1, 3} },
		"annotation 1 (record 0): the mask, in the box [0 0 2 3]":     func(d *Dataset) { d.Annotations[0].BBox = [4]float64{3, 0, 2, 4} },
		"annotation 2 (record 1): mask":                               func(d *Dataset) { d.Annotations[1].Segmentation.Counts[0]++ },
		"annotation 3 (record 2): segmentation of 5×6":                func(d *Dataset) { d.Annotations[2].Segmentation.Height = 6 },
		"annotation 3 (record 2): image 8":                            func(d *Dataset) { d.Annotations[2].ImageID = 8 },
	} {
		d := ok()
		edit(d)
		problems := d.Validate()
		require.Len(t, problems, 1, want)
		require.ErrorContains(t, problems[0], want)
	}
}

func TestProblemsAreShort(t *testing.T) {
	var ps Problems
	for i := range 100 {
		ps.add("annotation", i, int64(i), "bad")
	}
	require.Contains(t, ps.Error(), "and 95 more")
	require.Less(t, len(ps.Error()), 300)
}

func TestStats(t *testing.T) {
	s := sample(t).Stats()
	require.Equal(t, Stats{Images: 1, Annotations: 3, Categories: 1, Crowds: 1, MostObjects: 3, Small: 1,
		Polygons: 1, Runs: 1, Compressed: 1, MinWidth: 5, MaxWidth: 5, MinHeight: 4, MaxHeight: 4,
		PerCategory: []CategoryStats{{7, "", "kite", 3, 1}}}, s)
	var out bytes.Buffer
	require.NoError(t, s.WriteText(&out))
	require.Contains(t, out.String(), "kite")
	require.NoError(t, (&Dataset{}).Stats().WriteText(&out))
}

func TestForeignJSONIsRefused(t *testing.T) {
	for _, text := range []string{`{}`, `{"foo": [1]}`, `{"0001.png": {"regions": []}}`} {
		_, err := Read(strings.NewReader(text))
		require.ErrorContains(t, err, "not a COCO data set", text)
	}
	for _, text := range []string{`{"images": []}`, `{"annotations": []}`, `{"categories": []}`} {
		_, err := Read(strings.NewReader(text))
		require.NoError(t, err, text)
	}
}

func TestWriteRefuses(t *testing.T) {
	d := sample(t)
	d.Annotations[1].BBox, d.Annotations[1].HasBBox = [4]float64{0, 0, math.Inf(1), 1}, true
	require.ErrorContains(t, d.Write(&bytes.Buffer{}), "annotations: record 1: +Inf")
	d = sample(t)
	d.Images[0].Extra["x"] = json.RawMessage("{")
	require.ErrorContains(t, d.Write(&bytes.Buffer{}), "images: record 0")
	require.ErrorContains(t, WriteResults(&bytes.Buffer{}, []Result{{}, {Score: math.NaN()}}), "record 1: NaN")
	require.Error(t, d.Save(filepath.Join(t.TempDir(), "no", "folder.json")))
	_, err := json.Marshal(Result{Score: math.NaN()})
	require.Error(t, err)
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.json")
	require.NoError(t, sample(t).Save(path))
	d, err := Load(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(sample(t), d, exported))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
	require.NoError(t, SaveResults(path, []Result{{ImageID: 1, CategoryID: 2, Score: .1}}))
	results, err := LoadResults(path)
	require.NoError(t, err)
	require.Equal(t, []Result{{ImageID: 1, CategoryID: 2, Score: .1}}, results)
}
