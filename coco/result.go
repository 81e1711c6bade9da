package coco

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/diffusioninst/go/internal/regular"
)

// A Result is one detection, as results files of COCO and LVIS hold it.
type Result struct {
	ImageID    int64
	CategoryID int64 // the data set's own id: see COCOClasses
	Score      float64

	// BBox is x, y, width, height in pixels, and HasBBox is false if the file has none.
	BBox    [4]float64
	HasBBox bool

	Segmentation Segmentation // empty if there is none

	Extra map[string]json.RawMessage // other fields, as written
	fieldBits
	record
}

// LoadResults reads the results file at path, or a pipe as Load does. See ReadResults.
func LoadResults(path string) ([]Result, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		return nil, fmt.Errorf("coco: %w", err)
	}
	defer f.Close()
	results, err := readResults(f)
	return results, inFile(path, err)
}

// ReadResults reads a results file: a JSON list of detections with image_id,
// category_id, score, and bbox, segmentation or both. Evaluate checks whether they fit
// a data set.
//
// If single records or fields cannot be read, it returns a Problems error that names them
// together with the results without them. With every other error the results are nil.
func ReadResults(r io.Reader) ([]Result, error) {
	results, err := readResults(r)
	return results, prefixed(err)
}

func readResults(r io.Reader) ([]Result, error) {
	p := newParser(r)
	var results []Result
	err := list(p, "result", &results, p.result)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	p.encodings()
	return results, p.problems.err()
}

// annotation returns what a result says as an annotation.
func (r *Result) annotation() *Annotation {
	a := &Annotation{ImageID: r.ImageID, CategoryID: r.CategoryID, Segmentation: r.Segmentation, BBox: r.BBox, HasBBox: r.HasBBox,
		Extra: r.Extra, fieldBits: ofResult}
	// What pycocotools adds to results.
	if kept(r.Extra, "id") {
		key := stringID(r.Extra, "id")
		if a.ID = KeyID(key); key != "" {
			a.fieldBits |= hasResultID
		}
	}
	a.HasArea = kept(r.Extra, "area") && json.Unmarshal(r.Extra["area"], &a.Area) == nil
	is := func(name string) bool { return string(r.Extra[name]) == "1" || string(r.Extra[name]) == "true" }
	a.Crowd, a.Ignore = is("iscrowd"), is("ignore")
	return a
}

func (p *parser) result(d *Result) (bool, error) {
	return p.fields(&d.Extra, func(name string) (bool, error) {
		switch name {
		case "image_id":
			return true, p.ownID(&d.ImageID, &d.Extra, name)
		case "category_id":
			return true, p.ownID(&d.CategoryID, &d.Extra, name)
		case "score":
			return true, p.float(&d.Score)
		case "bbox":
			d.fieldBits |= hasBox
			return true, p.box(&d.BBox, &d.HasBBox)
		case "segmentation":
			d.fieldBits |= hasSegmentation
			return true, p.segmentation(&d.Segmentation)
		}
		return false, nil
	}, "image_id", "category_id", "score")
}
