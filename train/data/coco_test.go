package data

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

func TestCOCOIsWhatTheFileSays(t *testing.T) {
	file, folder := written(t, image.Pt(90, 70), image.Pt(64, 80))
	c, err := OpenCOCO(file, folder)
	require.NoError(t, err)
	require.Equal(t, []string{"nucleus", "other"}, c.Classes(), "by id: 3, 7")
	set, err := coco.Load(file)
	require.NoError(t, err)
	i := 0
	for p, err := range set.LabeledImages() {
		require.NoError(t, err)
		s, err := c.Sample(context.Background(), i)
		require.NoError(t, err)
		require.NoError(t, s.Check(2))
		img, err := picture.Open(filepath.Join(folder, p.FileName), picture.Options{})
		require.NoError(t, err)
		require.Equal(t, Sample{ID: p.FileName, Width: p.Width, Height: p.Height, RGB: picture.RGB(img), Objects: s.Objects}, s)
		require.NotEmpty(t, p.Instances)
		require.Len(t, s.Objects, len(p.Instances))
		for k, o := range s.Objects {
			require.Zero(t, o.Class)
			require.True(t, p.Instances[k].Mask.Bitmap().Equal(o.Mask))
			require.Equal(t, mask.BoxOf(o.Mask.Box()), o.Box)
		}
		require.Equal(t, s.summary(), c.Summary(i))
		i++
	}
	require.Equal(t, c.Len(), i)
}

// square has a picture of 20×10 pixels, id 4, with the annotations of JSON records.
func square(t *testing.T, annotations ...string) *COCO {
	t.Helper()
	c, err := OpenCOCO(squareFile(t, annotations...))
	require.NoError(t, err)
	return c
}

func squareFile(t *testing.T, annotations ...string) (file, folder string) {
	t.Helper()
	folder = t.TempDir()
	writePNG(t, filepath.Join(folder, "a.png"), image.NewRGBA(image.Rect(0, 0, 20, 10)))
	file = filepath.Join(folder, "data.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"images": [{"id": 4, "file_name": "a.png", "width": 20, "height": 10}],
		"categories": [{"id": 9, "name": "b"}, {"id": 2, "name": "a"}],
		"annotations": [`+strings.Join(annotations, ",")+`]}`), 0o666))
	return file, folder
}

func TestCOCOAnnotations(t *testing.T) {
	c := square(t,
		`{"id": 1, "image_id": 4, "category_id": 9, "bbox": [1.5, 2, 3.25, 4], "segmentation": [[2, 2, 4, 2, 4, 6, 2, 6]]}`,
		`{"id": 2, "image_id": 4, "category_id": 2, "bbox": [0, 0, 20, 10], "iscrowd": 1, "segmentation": {"size": [10, 20], "counts": [0, 200]}}`,
		`{"id": 3, "image_id": 4, "category_id": 2, "segmentation": {"size": [10, 20], "counts": [150, 10, 40]}}`,
		`{"id": 5, "image_id": 4, "category_id": 2, "bbox": [1, 1, 0, 5], "segmentation": {"size": [10, 20], "counts": [0, 12, 188]}}`,
		`{"id": 6, "image_id": 4, "category_id": 2, "bbox": [1, 1, 2, 2], "segmentation": {"size": [10, 20], "counts": [200]}}`,
		`{"id": 7, "image_id": 4, "category_id": 2, "bbox": [-3, 5, 8, 9], "segmentation": {"size": [10, 20], "counts": [7, 3, 190]}}`)
	s, err := c.Sample(context.Background(), 0)
	require.NoError(t, err)
	var boxes []mask.Box
	var classes, areas []int
	for _, o := range s.Objects {
		boxes, classes, areas = append(boxes, o.Box), append(classes, o.Class), append(areas, o.Mask.Area())
	}
	require.Equal(t, []int{1, 0, 0, 0}, classes, "neither the crowd nor the mask without pixels")
	require.Equal(t, []int{8, 10, 12, 3}, areas)
	require.Equal(t, []mask.Box{
		{X1: 1.5, Y1: 2, X2: 4.75, Y2: 6},
		{X1: 15, Y1: 0, X2: 16, Y2: 10}, // no bbox: the mask's
		{X1: 0, Y1: 0, X2: 2, Y2: 10},   // none with an area: the mask's
		{X1: 0, Y1: 5, X2: 5, Y2: 10},   // as far as it lies on the picture
	}, boxes)
	require.Equal(t, Summary{Width: 20, Height: 10, Classes: []int{1, 0, 0, 0, 0}}, c.Summary(0))
}

// Errors name the files and the ids.
func TestCOCOErrors(t *testing.T) {
	t.Run("annotations", func(t *testing.T) {
		for want, record := range map[string]string{
			"annotation 77 (record 0): mask: ":                        `{"id": 77, "image_id": 4, "category_id": 2, "segmentation": {"size": [10, 20], "counts": "04:zz"}}`,
			"annotation 77 (record 0): no segmentation":               `{"id": 77, "image_id": 4, "category_id": 2, "bbox": [1, 2, 3, 4]}`,
			"annotation 77 (record 0): segmentation of 6×5 pixels on": `{"id": 77, "image_id": 4, "category_id": 2, "segmentation": {"size": [5, 6], "counts": [30]}}`,
			"annotation 77 (record 0): polygon 0: it lies outside":    `{"id": 77, "image_id": 4, "category_id": 2, "segmentation": [[30, 1, 31, 1, 31, 5]]}`,
			"annotation 77 (record 0): bbox: byte":                    `{"id": 77, "image_id": 4, "category_id": 2, "bbox": [1], "segmentation": [[3, 1, 8, 1, 8, 5]]}`,
		} {
			file, folder := squareFile(t, record, `{"id": 78, "image_id": 4, "category_id": 2, "segmentation": [[1, 1, 5, 1, 5, 5]]}`)
			_, err := OpenCOCO(file, folder)
			require.ErrorContains(t, err, file+": coco: "+want)
			var problems coco.Problems
			require.ErrorAs(t, err, &problems)

			var skipped []string
			c, err := Open(file, annotation.Options{Images: folder, Skip: func(err error) { skipped = append(skipped, err.Error()) }})
			require.NoError(t, err)
			require.Len(t, skipped, 1)
			require.Contains(t, skipped[0], file+": "+want)
			s, err := c.Sample(context.Background(), 0)
			require.NoError(t, err)
			objects := 1
			if strings.Contains(want, "bbox") { // a part
				objects = 2
			}
			require.Len(t, s.Objects, objects)
		}
	})
	t.Run("crowds", func(t *testing.T) {
		crowd := `{"id": 77, "image_id": 4, "category_id": 2, "iscrowd": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}`
		file, folder := squareFile(t, crowd)
		_, err := OpenCOCO(file, folder)
		require.ErrorIs(t, err, coco.ErrAllCrowds)
		c, err := Open(file, annotation.Options{Images: folder, CrowdObjects: true})
		require.NoError(t, err)
		require.Len(t, c.Summary(0).Classes, 1)

		file, folder = squareFile(t, crowd, `{"id": 78, "image_id": 4, "category_id": 2, "segmentation": {"size": [10, 20], "counts": [200]}}`,
			`{"id": 79, "image_id": 4, "category_id": 2, "segmentation": [[1, 1, 5, 1, 5, 5]]}`)
		var words []string
		c, err = Open(file, annotation.Options{Images: folder, Warn: func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }})
		require.NoError(t, err)
		for range 2 {
			_, err = c.Sample(context.Background(), 0)
			require.NoError(t, err)
		}
		require.Len(t, words, 2)
		require.Contains(t, words[0], "1 of 3 annotations are crowds (iscrowd 1) and are left out of training")
		require.Contains(t, words[1], "the mask of annotation 78 has no pixels")
	})
	t.Run("pictures", func(t *testing.T) {
		for want, spoil := range map[string]func(at string) error{
			"no such file": os.Remove,
			"truncated":    func(at string) error { return os.Truncate(at, 40) },
			"not a pict":   func(at string) error { return os.WriteFile(at, []byte("picture"), 0o666) },
			"empty":        func(at string) error { return os.Truncate(at, 0) },
			"has 3×3 pixels, by the data set 20×10": func(at string) error {
				writePNG(t, at, image.NewRGBA(image.Rect(0, 0, 3, 3)))
				return nil
			},
		} {
			c := square(t)
			require.NoError(t, spoil(filepath.Join(c.folder, "a.png")))
			_, err := c.Sample(context.Background(), 0)
			var e *SampleError
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, "image 4 of "+c.file)
			require.ErrorContains(t, err, "a.png")
			require.ErrorContains(t, err, want)
		}
	})
	t.Run("files", func(t *testing.T) {
		_, err := OpenCOCO(filepath.Join(t.TempDir(), "none.json"), "")
		require.ErrorIs(t, err, fs.ErrNotExist)
		for want, text := range map[string]string{
			"no images":     `{"images": [], "categories": [{"id": 1, "name": "a"}], "annotations": []}`,
			"no categories": `{"images": [{"id": 1, "file_name": "a"}], "categories": [], "annotations": []}`,
			"image 8":       `{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "a"}], "annotations": [{"id": 3, "image_id": 8, "category_id": 1}]}`,
		} {
			file := filepath.Join(t.TempDir(), "data.json")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
			_, err := OpenCOCO(file, "")
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, file)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := square(t).Sample(ctx, 0)
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, errors.As(err, new(*SampleError)), "no fault of the sample")
	})
}

// A run over files of which some are broken goes on with the others.
func TestLoaderOverBrokenFiles(t *testing.T) {
	file, folder := written(t, image.Pt(60, 60), image.Pt(64, 50), image.Pt(50, 64), image.Pt(40, 40))
	set, err := coco.Load(file)
	require.NoError(t, err)
	set.Annotations[len(set.Annotations)-1].Segmentation.Compressed = "broken"
	require.NoError(t, set.Save(file))
	require.NoError(t, os.Remove(filepath.Join(folder, "0.png")))
	require.NoError(t, os.Truncate(filepath.Join(folder, "1.png"), 300))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "3.png"), []byte("text"), 0o666))
	var skipped []error
	c, err := Open(file, annotation.Options{Images: folder, Skip: func(err error) { skipped = append(skipped, err) }})
	require.NoError(t, err)
	reported := map[string]bool{}
	l := newLoader(t, c, LoaderOptions{Batch: 4, OnError: func(err error) error {
		var e *SampleError
		require.ErrorAs(t, err, &e)
		reported[e.ID] = true
		return nil
	}})
	for _, id := range names(take(t, l, 3)...) {
		require.Equal(t, "2.png", id)
	}
	require.Equal(t, map[string]bool{"0.png": true, "1.png": true, "3.png": true}, reported)
	require.Len(t, skipped, 1)
}

func TestKeptPictures(t *testing.T) {
	file, folder := written(t, image.Pt(60, 60), image.Pt(64, 50))
	c, err := OpenCOCO(file, folder)
	require.NoError(t, err)
	c.KeepPictures(3*60*60 + 100)
	var want []Sample
	for i := range 2 {
		s, err := c.Sample(context.Background(), i)
		require.NoError(t, err)
		want = append(want, s)
	}
	for i := range 2 { // another picture of the same size
		writePNG(t, filepath.Join(folder, want[i].ID), image.NewGray(image.Rect(0, 0, want[i].Width, want[i].Height)))
		s, err := c.Sample(context.Background(), i)
		require.NoError(t, err)
		require.Equal(t, i == 0, string(want[i].RGB) == string(s.RGB), "only the first has room")
	}
}

func FuzzOpenCOCO(f *testing.F) {
	f.Add([]byte(`{"images": [{"id": 4, "file_name": "a.png", "width": 20, "height": 10}], "categories": [{"id": 9, "name": "b"}],
		"annotations": [{"id": 1, "image_id": 4, "category_id": 9, "bbox": [1.5, 2, 3.25, 4], "segmentation": [[2, 2, 4, 2, 4, 6, 2, 6]]},
		{"id": 2, "image_id": 4, "category_id": 9, "segmentation": {"size": [10, 20], "counts": [150, 10, 40]}},
		{"id": 3, "image_id": 4, "category_id": 9, "segmentation": {"size": [10, 20], "counts": "o101"}}]}`))
	folder := f.TempDir()
	writePNG(f, filepath.Join(folder, "a.png"), image.NewRGBA(image.Rect(0, 0, 20, 10)))
	file := filepath.Join(folder, "data.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		require.NoError(t, os.WriteFile(file, text, 0o666))
		c, err := OpenCOCO(file, folder)
		if err != nil {
			return
		}
		for i := range c.Len() {
			c.Summary(i)
			s, err := c.Sample(context.Background(), i)
			if err == nil {
				err = s.Check(len(c.Classes()))
				require.NoError(t, err)
				require.NoError(t, apply(t, mixed, s, 1).Check(len(c.Classes())))
			}
		}
	})
}

func TestCollect(t *testing.T) {
	samples := []Sample{drawn(20, 20), drawn(30, 20)}
	d, err := Collect([]string{"a", "b", "c", "d"}, func(yield func(Sample, error) bool) {
		_ = yield(samples[0], nil) && yield(samples[1], nil)
	})
	require.NoError(t, err)
	require.Equal(t, 2, d.Len())
	got, err := d.Sample(context.Background(), 1)
	require.NoError(t, err)
	require.Equal(t, samples[1], got)
	_, err = Collect([]string{"a"}, func(yield func(Sample, error) bool) { yield(samples[0], nil) })
	require.ErrorContains(t, err, "data: sample 20×20: object 1 is of class 1 of 1")
	errRead := errors.New("unreadable")
	_, err = Collect([]string{"a", "b", "c", "d"}, func(yield func(Sample, error) bool) {
		_ = yield(samples[0], nil) && yield(Sample{}, errRead)
	})
	require.ErrorIs(t, err, errRead)
	require.ErrorContains(t, err, "after 1 samples")
}

func TestSubsets(t *testing.T) {
	empty := Sample{ID: "empty", Width: 2, Height: 2, RGB: make([]uint8, 12)}
	d, err := Collect([]string{"a", "b", "c", "d"}, func(yield func(Sample, error) bool) {
		_ = yield(empty, nil) && yield(drawn(20, 20), nil) && yield(empty, nil) && yield(drawn(30, 20), nil)
	})
	require.NoError(t, err)
	for _, d := range []Dataset{d, struct{ Dataset }{d}} {
		full, err := NonEmpty(context.Background(), d)
		require.NoError(t, err)
		require.Equal(t, 2, full.Len())
		summaries, err := Summaries(context.Background(), full)
		require.NoError(t, err)
		require.Equal(t, []Summary{{20, 20, []int{0, 1, 2, 3}}, {30, 20, []int{0, 1, 2, 3}}}, summaries)
		s, err := full.Sample(context.Background(), 1)
		require.NoError(t, err)
		require.Equal(t, drawn(30, 20), s)
		_, known := d.(Summarizer)
		_, still := full.(Summarizer)
		require.Equal(t, known, still)
		_, err = Subset(d, []int{0, 4})
		require.EqualError(t, err, "data: subset with picture 4 of 4")
	}
}

func TestFrequencies(t *testing.T) {
	m := mask.NewBitmap(2, 2)
	m.Set(0, 0, true)
	show := func(classes ...int) Sample {
		s := Sample{ID: "s", Width: 2, Height: 2, RGB: make([]uint8, 12)}
		for _, class := range classes {
			s.Objects = append(s.Objects, Object{Class: class, Box: mask.BoxOf(m.Box()), Mask: m})
		}
		return s
	}
	d, err := Collect([]string{"common", "rare", "absent"}, func(yield func(Sample, error) bool) {
		_ = yield(show(0, 0, 0), nil) && yield(show(0, 1, 1), nil) && yield(show(0), nil) && yield(show(), nil)
	})
	require.NoError(t, err)
	counts, err := ClassCounts(context.Background(), d)
	require.NoError(t, err)
	require.Equal(t, []int{3, 1, 0}, counts)
	factors, err := RepeatFactors(context.Background(), d, 1)
	require.NoError(t, err)
	closetest.Slices(t, []float64{1.1547005, 2, 1.1547005, 1}, factors, 1e-6) // √(1/¾), √(1/¼)
	factors, err = RepeatFactors(context.Background(), d, 0.5)
	require.NoError(t, err)
	closetest.Slices(t, []float64{1, 1.4142136, 1, 1}, factors, 1e-6)
	_, err = RepeatFactors(context.Background(), d, -1)
	require.Error(t, err)
}
