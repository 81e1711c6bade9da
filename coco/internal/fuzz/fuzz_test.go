package fuzz

import (
	"bytes"
	"image"
	"image/png"
	"testing"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/allocation"
	"github.com/diffusioninst/go/mask"
)

// What is read and written again reads the same.

// most bounds the bytes of an input: longer ones say nothing new and are slow.
const most = 4096

const sampleDataset = `{"info": {"year": 2017, "x": [1, {"y": null}]}, "licenses": [{"id": 1, "name": "n\u00fc\n", "url": "u"}],
"images": [{"id": 3, "width": 5, "height": 4, "file_name": "a.jpg", "license": 1, "neg_category_ids": [2], "not_exhaustive_category_ids": [], "more": true}],
"annotations": [{"id": 1, "image_id": 3, "category_id": 7, "iscrowd": 0, "area": 6.5, "bbox": [0, 1e0, 2.25, 3], "segmentation": [[0, 0, 2, 0, 2, 3, 0, 3]], "keypoints": [1, 2, 2]},
{"id": 2, "image_id": 3, "category_id": 7, "iscrowd": 1, "segmentation": {"size": [4, 5], "counts": [3, 2, 15]}},
{"id": 3, "image_id": 3, "category_id": 7, "segmentation": {"size": [4, 5], "counts": "32?"}, "ignore": 1}],
"categories": [{"id": 7, "name": "kite", "supercategory": "s", "frequency": "r", "synset": "kite.n.03", "synonyms": ["kite", "k"], "def": "d", "image_count": 2, "instance_count": 9}], "type": "instances"}`

const sampleResults = `[{"image_id": 3, "category_id": 7, "bbox": [0, 0, 2, 3], "score": 0.98765, "segmentation": {"size": [4, 5], "counts": "32?"}, "id": 9},
{"image_id": 3, "category_id": 7, "score": 1e-7, "bbox": []}]`

// strange is what other tools write.
const strange = `{"images": [{"id": "a", "width": "5", "height": 4.0, "file_name": "i\\a.jpg"}], "annotations": [
{"image_id": "a", "category_id": "7", "area": NaN, "bbox": [null, null, null, null], "segmentation": [{"x": 1, "y": 1}, {"x": 4, "y": 1}, {"x": 4, "y": 4}]},
{"id": 1, "image_id": "a", "category_id": 7, "segmentation": "[[1, 1, 4, 1, 4, 4]]"}, {"id": 1, "image_id": "a", "category_id": 7, "segmentation": [{"size": [4, 5], "counts": [20]}]}],
"categories": [{"id": 7, "name": 8}]}`

// drawn is a picture of two objects, one in two parts with a hole.
func drawn() *coco.LabeledImage {
	p := &coco.LabeledImage{ImageID: 4, FileName: "a b.png", Width: 24, Height: 20}
	for i, name := range []string{"dog", "kite \"ü\""} {
		m := mask.NewBitmap(p.Width, p.Height)
		m.Fill(image.Rect(3, 2+i, 12, 9+8*i))
		m.Set(5, 4, i == 0)
		m.Set(20, 4, true)
		p.Instances = append(p.Instances, coco.LabeledInstance{CategoryID: int64(i + 1), Category: name, Score: .5, HasScore: true, Mask: m.RLE()})
	}
	return p
}

func check(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

// read returns what f reads of a file of size bytes, which may allocate no more than a reader may.
func read[T any](t *testing.T, size int, f func() (T, error)) (v T, err error) {
	t.Helper()
	allocation.OfFile(t, size, func() { v, err = f() })
	return v, err
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sampleDataset))
	f.Add([]byte(strange))
	f.Add([]byte(`{"annotations": [{"id": 1.0, "image_id": -2, "category_id": 3e2, "segmentation": null, "extra": "\ud83d\ude00\ud83d"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > most {
			return
		}
		d, err := read(t, len(text), func() (*coco.Dataset, error) { return coco.Read(bytes.NewReader(text)) })
		if err != nil {
			return
		}
		d.Validate()
		d.Stats()
		var out bytes.Buffer
		if d.Write(&out) != nil { // a mask that cannot be read, which Read keeps
			return
		}
		again, err := coco.Read(bytes.NewReader(out.Bytes()))
		check(t, err)
		same(t, d, again)
	})
}

func FuzzReadResults(f *testing.F) {
	f.Add([]byte(sampleResults))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > most {
			return
		}
		results, err := read(t, len(text), func() ([]coco.Result, error) { return coco.ReadResults(bytes.NewReader(text)) })
		if err != nil {
			return
		}
		var out bytes.Buffer
		if coco.WriteResults(&out, results) != nil {
			return
		}
		again, err := coco.ReadResults(bytes.NewReader(out.Bytes()))
		check(t, err)
		same(t, results, again)
	})
}

func FuzzReadLabelMe(f *testing.F) {
	for _, o := range []coco.LabelMeOptions{{}, {Polygons: true, Tolerance: 1}} {
		var text bytes.Buffer
		check(f, coco.WriteLabelMe(&text, drawn(), o))
		f.Add(text.Bytes())
	}
	f.Add([]byte(`{"shapes": [{"label": "a", "group_id": 1, "points": [[1, 1], [4, 1], [4, 4]], "shape_type": "polygon"},
		{"label": 3, "points": [[1, 1], [4, 5]], "shape_type": "rectangle"}, {"label": "c", "points": [[7, 7], [9, 9]], "shape_type": "circle"}], "imageHeight": 20, "imageWidth": 30}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > most {
			return
		}
		p, err := read(t, len(text), func() (*coco.LabeledImage, error) {
			return coco.ReadLabelMe(bytes.NewReader(text), coco.LabelMeReadOptions{})
		})
		if err != nil || p.Width*p.Height > 1<<14 {
			return
		}
		var out bytes.Buffer
		check(t, coco.WriteLabelMe(&out, p, coco.LabelMeOptions{}))
		again, err := coco.ReadLabelMe(&out, coco.LabelMeReadOptions{})
		check(t, err)
		kept := p.Instances[:0]
		for _, v := range p.Instances {
			if v.Mask.Area() > 0 {
				kept = append(kept, v)
			}
		}
		p.Instances = kept
		same(t, p, again)
	})
}

func FuzzReadLabelMap(f *testing.F) {
	var picture, legend bytes.Buffer
	check(f, coco.WriteLabelMap(&picture, &legend, drawn()))
	f.Add(picture.Bytes(), legend.Bytes())
	picture.Reset()
	check(f, png.Encode(&picture, image.NewGray16(image.Rect(0, 0, 3, 2))))
	f.Add(picture.Bytes(), []byte(`{"image": "a", "width": 3, "height": 2, "instances": [{"label": 1, "category": "c", "area": 0}]}`))
	f.Fuzz(func(t *testing.T, picture, legend []byte) {
		size := len(picture) + len(legend)
		if size > most {
			return
		}
		p, err := read(t, size, func() (*coco.LabeledImage, error) {
			return coco.ReadLabelMap(bytes.NewReader(picture), bytes.NewReader(legend))
		})
		if err != nil || p.Width*p.Height > 1<<14 {
			return
		}
		var pictureOut, legendOut bytes.Buffer
		check(t, coco.WriteLabelMap(&pictureOut, &legendOut, p))
		again, err := coco.ReadLabelMap(&pictureOut, &legendOut)
		check(t, err)
		same(t, p, again)
	})
}

// FuzzEvaluate looks for panics and for numbers that are none.
func FuzzEvaluate(f *testing.F) {
	f.Add([]byte(sampleDataset), []byte(sampleResults), uint8(0))
	f.Add([]byte(sampleDataset), []byte(sampleResults), uint8(3))
	f.Fuzz(func(t *testing.T, data, dets []byte, how uint8) {
		d, err := coco.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, m := range d.Images {
			if m.Width*m.Height > 1<<16 {
				return
			}
		}
		results, err := coco.ReadResults(bytes.NewReader(dets))
		if err != nil {
			return
		}
		o := coco.Options{IoU: []coco.IoU{coco.Segm, coco.BBox, coco.Boundary}[how%3], Style: []coco.Style{coco.COCO, coco.LVIS}[how/3%2]}
		report, err := coco.Evaluate(t.Context(), d, results, o)
		if err != nil {
			return
		}
		for _, m := range report.Metrics {
			if !(m.Value == -1 || m.Value >= 0 && m.Value <= 1) {
				t.Fatalf("%v", m)
			}
		}
		_, err = coco.Analyze(t.Context(), d, results, o)
		check(t, err)
	})
}
