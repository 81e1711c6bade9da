package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/mask"
)

// squares is a data set of one 100 × 100 image with squares of 10 pixels along the
// diagonal, and detections that find them exactly.
func squares(n int) (*Dataset, []Result) {
	d := &Dataset{Images: []Image{{ID: 1, Width: 100, Height: 100}}, Categories: []Category{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}}
	var results []Result
	for i := range n {
		s, box := square(10*i, 10*i)
		d.Annotations = append(d.Annotations, Annotation{ID: int64(i + 1), ImageID: 1, CategoryID: 1,
			Segmentation: s, BBox: box, HasBBox: true, Area: 100, HasArea: true})
		results = append(results, Result{ImageID: 1, CategoryID: 1, Score: 1 - float64(i)/100, BBox: box, HasBBox: true, Segmentation: s})
	}
	return d, results
}

func square(x, y int) (Segmentation, [4]float64) {
	r, err := mask.FromPolygons([][]float64{{float64(x), float64(y), float64(x + 10), float64(y), float64(x + 10), float64(y + 10), float64(x), float64(y + 10)}}, 100, 100)
	if err != nil {
		panic(err)
	}
	return NewSegmentation(r), [4]float64{float64(x), float64(y), 10, 10}
}

func metric(t *testing.T, r *Report, name string) float64 {
	t.Helper()
	v, ok := r.Metric(name)
	require.True(t, ok, name)
	return v
}

func TestEvaluateByHand(t *testing.T) {
	d, results := squares(4)
	evaluate := func(results []Result, o Options) *Report {
		t.Helper()
		r, err := Evaluate(t.Context(), d, results, o)
		require.NoError(t, err)
		return r
	}
	for _, iou := range []IoU{Segm, BBox, Boundary} {
		r := evaluate(results, Options{IoU: iou})
		require.Equal(t, 1., metric(t, r, "AP"), iou)
		require.Equal(t, 1., metric(t, r, "APs"), iou)
		require.Equal(t, -1., metric(t, r, "APl"), iou)
		require.Equal(t, .25, metric(t, r, "AR1"), iou)
		require.Equal(t, 1., metric(t, r, "AR10"), iou)
	}
	// Half of the objects: recall up to 0.5 at precision 1, 51 of 101 points.
	require.InDelta(t, 51./101, metric(t, evaluate(results[:2], Options{}), "AP"), 1e-15)
	// Nothing found is 0, nothing to find -1.
	require.Equal(t, 0., metric(t, evaluate(nil, Options{}), "AP"))
	require.Equal(t, -1., metric(t, evaluate(results[:0], Options{Categories: []int64{2}}), "AP"))
	// A false positive above all others: precision is at most 4/5.
	wrong := results[3]
	wrong.Score, wrong.Segmentation = 2, Segmentation{Polygons: [][]float64{{0, 90, 10, 90, 10, 100}}}
	require.InDelta(t, .8, metric(t, evaluate(append(results[:4:4], wrong), Options{}), "AP"), 1e-12)
	// Shifted by 2 of 10 pixels: IoU 80/120 suffices up to the threshold 0.65.
	shifted := results[0]
	shifted.Segmentation, shifted.BBox = square(2, 0)
	one := *d
	one.Annotations = d.Annotations[:1]
	r, err := Evaluate(t.Context(), &one, []Result{shifted}, Options{IoU: BBox})
	require.NoError(t, err)
	require.InDelta(t, .4, metric(t, r, "AP"), 1e-15)
	require.InDelta(t, 1., metric(t, r, "AP50"), 1e-15)
	require.Equal(t, 0., metric(t, r, "AP75"))

	// Own settings.
	r = evaluate(results, Options{MaxDets: []int{2}, Thresholds: []float64{.3}, RecallThresholds: []float64{.5, .75},
		Areas: []AreaRange{{"any", 0, 1e9}, {"at least 100", 100, 1e9}, {"over 100", 101, 1e9}}})
	require.Equal(t, .5, metric(t, r, "AR2"))
	require.Equal(t, .5, metric(t, r, "AP"))
	require.Equal(t, .5, metric(t, r, "AP_at_least_100"))
	require.Equal(t, -1., metric(t, r, "AP_over_100"))
	_, ok := r.Metric("AP50")
	require.False(t, ok)
}

func TestCrowdsTakeAnyNumber(t *testing.T) {
	d, results := squares(3)
	d.Annotations[2].Crowd = true
	extra := results[2]
	extra.Score = 2
	r, err := Evaluate(t.Context(), d, append(results, extra, extra), Options{})
	require.NoError(t, err)
	require.Equal(t, 1., metric(t, r, "AP"))
	require.Equal(t, 2, r.Categories[0].Objects)
}

func TestFederatedRules(t *testing.T) {
	d, results := squares(2)
	d.Categories = []Category{{ID: 1, Name: "a", Frequency: "f"}, {ID: 2, Name: "b", Frequency: "r"}, {ID: 3, Name: "c", Frequency: "c"}}
	m := &d.Images[0]
	m.NegCategoryIDs, m.NotExhaustiveCategoryIDs = []int64{}, []int64{}
	stray := func(category int64) Result {
		r := Result{ImageID: 1, CategoryID: category, Score: 2}
		r.Segmentation, _ = square(0, 90)
		return r
	}
	ap := func(r ...Result) float64 {
		report, err := Evaluate(t.Context(), d, append(results[:2:2], r...), Options{Style: LVIS})
		require.NoError(t, err)
		return metric(t, report, "AP")
	}
	require.Equal(t, 1., ap())
	require.Equal(t, 1., ap(stray(3)), "nobody knows about category 3")
	require.InDelta(t, 2./3, ap(stray(1)), 1e-12)
	m.NotExhaustiveCategoryIDs = []int64{1}
	require.Equal(t, 1., ap(stray(1)), "there may be more of category 1")

	// At most so many of an image, over all classes.
	report, err := Evaluate(t.Context(), d, append(results[:2:2], stray(3)), Options{Style: LVIS, MaxDets: []int{2}})
	require.NoError(t, err)
	require.Equal(t, .5, metric(t, report, "AR@2"))
	require.Equal(t, -1., metric(t, report, "APr"))
	require.InDelta(t, 51./101, metric(t, report, "APf"), 1e-15)
}

// The report is the same to the bit whatever the number of cores.
func TestReportDoesNotDependOnCores(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	data, results := val2017(12, 30)
	var want []byte
	for _, procs := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(procs)
		for _, workers := range []int{0, 1, 5} {
			var all []any
			for _, iou := range []IoU{Segm, BBox, Boundary} {
				r, err := Evaluate(t.Context(), data, results, Options{IoU: iou, Workers: workers})
				require.NoError(t, err)
				b, err := Analyze(t.Context(), data, results, Options{IoU: iou, Workers: workers})
				require.NoError(t, err)
				all = append(all, r, r.Categories, r.MeanPrecision(3, 0, 2), b)
			}
			got, err := json.Marshal(all)
			require.NoError(t, err)
			if want == nil {
				want = got
			}
			require.Equal(t, string(want), string(got))
		}
	}
}

// Scores of equal value keep the file's order, as a stable sort has it, and
// otherwise the order of a results file has no influence.
func TestOrderOfResults(t *testing.T) {
	data, results := val2017(10, 20)
	for i := range results {
		results[i].Score = float64(i*7919%len(results)) / float64(len(results))
	}
	want, err := Evaluate(t.Context(), data, results, Options{})
	require.NoError(t, err)
	reversed := make([]Result, len(results))
	for i := range results {
		reversed[len(results)-1-i] = results[i]
	}
	got, err := Evaluate(t.Context(), data, reversed, Options{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want.Metrics, got.Metrics))
}

func TestEvaluateNamesBadRecords(t *testing.T) {
	bad := func(edit func(d *Dataset, r []Result)) error {
		d, r := squares(3)
		edit(d, r)
		_, err := Evaluate(t.Context(), d, r, Options{})
		return err
	}
	polygon := func(p ...float64) func(*Dataset, []Result) {
		return func(d *Dataset, _ []Result) { d.Annotations[1].Segmentation = Segmentation{Polygons: [][]float64{p}} }
	}
	compressed := func(s string) func(*Dataset, []Result) {
		return func(_ *Dataset, r []Result) { r[1].Segmentation.Compressed = s }
	}
	counts := func(c ...uint32) func(*Dataset, []Result) {
		return func(_ *Dataset, r []Result) { r[1].Segmentation.Compressed, r[1].Segmentation.Counts = "", c }
	}
	for name, c := range map[string]struct {
		edit func(*Dataset, []Result)
		want string
	}{
		"image of annotation":     {func(d *Dataset, _ []Result) { d.Annotations[1].ImageID = 9 }, "annotation 2 (record 1): image 9"},
		"category of annotation":  {func(d *Dataset, _ []Result) { d.Annotations[1].CategoryID = 9 }, "annotation 2 (record 1): category 9"},
		"annotation twice":        {func(d *Dataset, _ []Result) { d.Annotations[1].ID = 1 }, "annotation 1 (record 1)"},
		"image twice":             {func(d *Dataset, _ []Result) { d.Images = append(d.Images, d.Images[0]) }, "image 1 (record 1)"},
		"category twice":          {func(d *Dataset, _ []Result) { d.Categories[1].ID = 1 }, "category 1 (record 1)"},
		"NaN in polygon":          {polygon(1, 1, 5, math.NaN(), 5, 5), "annotation 2 (record 1)"},
		"infinite polygon":        {polygon(1, 1, 5, math.Inf(1), 5, 5), "annotation 2 (record 1)"},
		"polygon of one point":    {polygon(1, 1), "annotation 2 (record 1)"},
		"polygon of two points":   {polygon(1, 1, 5, 5), "annotation 2 (record 1)"},
		"polygon of odd length":   {polygon(1, 1, 5, 5, 3, 3, 4), "annotation 2 (record 1)"},
		"empty polygon":           {polygon(), "annotation 2 (record 1)"},
		"polygon outside":         {polygon(200, 1, 250, 1, 250, 10), "annotation 2 (record 1)"},
		"no mask":                 {func(d *Dataset, _ []Result) { d.Annotations[1].Segmentation = Segmentation{} }, "annotation 2 (record 1): no segmentation"},
		"image of result":         {func(_ *Dataset, r []Result) { r[1].ImageID = 7 }, "result 1 (image 7)"},
		"category of result":      {func(_ *Dataset, r []Result) { r[1].CategoryID = 7 }, "result 1 (image 1): category 7"},
		"score":                   {func(_ *Dataset, r []Result) { r[1].Score = math.NaN() }, "result 1 (image 1): score NaN"},
		"box of negative width":   {func(_ *Dataset, r []Result) { r[1].BBox[2] = -1 }, "result 1 (image 1)"},
		"result without mask":     {func(_ *Dataset, r []Result) { r[1].Segmentation = Segmentation{} }, "result 1 (image 1): no mask"},
		"mask of another size":    {func(_ *Dataset, r []Result) { r[1].Segmentation.Width = 99 }, "result 1 (image 1)"},
		"another data set's size": {func(d *Dataset, _ []Result) { d.Images[0].Width, d.Images[0].Height = 50, 200 }, "annotation 1 (record 0): segmentation of 100×100 pixels on an image of 50×200"},
		"runs too long":           {counts(5000, 5001), "result 1 (image 1)"},
		"runs too short":          {counts(5000, 4999), "result 1 (image 1)"},
		"runs beyond 32 bits":     {counts(math.MaxUint32, 10001), "result 1 (image 1)"},
		"broken string":           {compressed("32?~~~"), "result 1 (image 1)"},
		"cut string":              {compressed("o"), "result 1 (image 1)"},
		"empty string":            {compressed(""), "result 1 (image 1)"},
	} {
		err := bad(c.edit)
		require.ErrorContains(t, err, c.want, name)
		if strings.HasPrefix(c.want, "annotation") || strings.HasPrefix(c.want, "result") {
			var problems Problems
			require.ErrorAs(t, err, &problems, name)
		}
	}
}

func TestReadNamesBadRecords(t *testing.T) {
	const rest = `, "image_id": 1, "category_id": 1}]}`
	for text, want := range map[string]string{
		`[]`: "an object",
		`{"annotations": [{"id": 1, "image_id": 1, "category_id": 1}, {"id": 2, "image_id": 1}]}`: "annotation 2 (record 1): no category_id",
		`{"annotations": [{"id": 1.5` + rest:                                                      "record 0): id: byte 24: 1.5 is not a whole number",
		`{"annotations": [{"id": {}` + rest:                                                       "record 0): id",
		`{"annotations": [{"id": ""` + rest:                                                       "record 0): id: byte 26: an empty id",
		`{"annotations": [{"id": 1, "bbox": [1, 2, 3]` + rest:                                     "annotation 1 (record 0): bbox",
		`{"annotations": [{"id": 1, "bbox": [1, 2, NaN, 3]` + rest:                                "record 0): bbox",
		`{"annotations": [{"id": 1, "iscrowd": 2` + rest:                                          "record 0): iscrowd",
		`{"annotations": [7, {"id": 1, "image_id": 1, "category_id": 1}]}`:                        "record 0): byte 17: '7' where an object should be",
		`{"images": [{"width": 1}]}`:                                                              "image 0 (record 0): no id",
		`{"images": [{"id": 1, "width": -1}]}`:                                                    "image 1 (record 0): width",
		`{"images": [{"id": 1, "file_name": 12}]}`:                                                "image 1 (record 0): file_name",
		`{"images": {}}`:                       "images: byte 11: '{' where a list should be",
		`{"images": []} {}`:                    "the end",
		`{"images": [`:                         "the text ends",
		`{"images": [{"id": 1, "width": 1x}]}`: "record 0: byte 32: 'x'",
	} {
		d, err := Read(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
		var problems Problems
		require.Equal(t, errors.As(err, &problems), d != nil, "what can be read is there")
	}
	for text, want := range map[string]string{
		`{}`: "a list",
		`[{"image_id": 1, "category_id": 1, "score": 1}, {"image_id": 1, "category_id": 1}]`: "result 1 (image 1): no score",
		`[{"category_id": 1, "score": 1}]`:                                                   "result 0 (image 0): no image_id",
		`[{"image_id": 1, "category_id": 1, "score": NaN}]`:                                  "result 0 (image 1): score",
		`[{"image_id": "x y", "category_id": 1, "score": 1, "bbox": [1, 2]}]`:                `result 0 (image "x y"): bbox`,
	} {
		results, err := ReadResults(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
		var problems Problems
		require.Equal(t, errors.As(err, &problems), results != nil)
	}
	_, err := Load(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorContains(t, err, "none.json")
}

func TestOptionsAreChecked(t *testing.T) {
	d, results := squares(1)
	for i, o := range []Options{
		{IoU: "keypoints"}, {Style: "voc"}, {MaxDets: []int{0, 1}}, {MaxDets: []int{}}, {Style: LVIS, MaxDets: []int{1, 2}},
		{Thresholds: []float64{0}}, {Thresholds: make([]float64, 65)}, {RecallThresholds: []float64{.5, .1}}, {Areas: []AreaRange{}},
		{Areas: []AreaRange{{"large", 96, 32}}}, {Areas: []AreaRange{{"all", 0, math.NaN()}}}, {RecallThresholds: []float64{0, 2}}, {RecallThresholds: []float64{math.NaN(), 1}},
		{Dilation: -1}, {Images: []int64{5}}, {Categories: []int64{5}}, {Style: LVIS},
	} {
		_, err := Evaluate(t.Context(), d, results, o)
		require.Error(t, err, fmt.Sprint(i))
	}
}

func TestBreakdownByHand(t *testing.T) {
	d, results := squares(6) // 0 found; the others not
	at := func(i int, x, y int, category int64, score float64) Result {
		r := results[i]
		r.Segmentation, r.BBox = square(x, y)
		r.CategoryID, r.Score = category, score
		return r
	}
	d.Annotations[5].CategoryID = 2
	dets := []Result{
		results[0],
		at(0, 0, 0, 1, .5),    // duplicate of 0
		at(1, 10, 10, 2, .4),  // right place, wrong class
		at(2, 26, 20, 1, .3),  // IoU 40/160 with 2: place
		at(3, 36, 30, 2, .2),  // the same with 3, and the class
		at(4, 0, 90, 1, .1),   // on nothing
		at(5, 52, 50, 2, .05), // finds 5 at IoU 80/120
	}
	b, err := Analyze(t.Context(), d, dets, Options{})
	require.NoError(t, err)
	want := map[ErrorKind]int{Classification: 1, Localisation: 1, BothWrong: 1, Duplicate: 1, Background: 1, Missed: 2}
	for i, e := range b.Errors {
		require.Equal(t, ErrorKinds[i], e.Kind)
		require.Equal(t, want[e.Kind], e.Count, e.Kind)
		require.Positive(t, e.DeltaAP+1e-12, e.Kind)
	}
	// Class a: one of five, recall .2 at precision 1; class b: one of one at rank 3.
	require.InDelta(t, (21./101+1./3)/2, b.AP, 1e-12)
	// Without the wrong class, b has its object at rank 2 and a two of five, at 1 and 2/3.
	require.InDelta(t, (21./101+20./101*2/3+.5)/2-b.AP, b.Errors[0].DeltaAP, 1e-12)
	// Without the missed ones a expects three: recall 1/3 reaches 34 points.
	require.InDelta(t, (34./101+1./3)/2-b.AP, b.Errors[5].DeltaAP, 1e-12)
}

// The AP of the breakdown is the AP50 of the report.
func TestBreakdownAgreesWithReport(t *testing.T) {
	golden.Each(t, golden.Evaluation, func(t *testing.T, dir string) {
		d, err := Load(filepath.Join(dir, "gt.json"))
		require.NoError(t, err)
		results, err := LoadResults(filepath.Join(dir, "dets.json"))
		require.NoError(t, err)
		for _, o := range []Options{{IoU: Segm}, {IoU: BBox}, {IoU: Boundary}} {
			if d.Images[0].NegCategoryIDs != nil {
				o.Style = LVIS
			}
			r, err := Evaluate(t.Context(), d, results, o)
			require.NoError(t, err)
			b, err := Analyze(t.Context(), d, results, o)
			require.NoError(t, err)
			if o.Style == COCO {
				// Detections of too small or large an area play no part in the sum over all sizes.
				require.InDelta(t, metric(t, r, "AP50"), b.AP, 1e-12)
			} else {
				require.InDelta(t, metric(t, r, "AP50"), b.AP, 1e-9)
			}
		}
	})
}
