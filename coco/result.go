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
}

// LoadResults reads the results file at path, or a pipe as Load does. See ReadResults.
func LoadResults(path string) ([]Result, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		return nil, fmt.Errorf("coco: %w", err)
	}
	defer f.Close()
	results, err := readResults(f)
	if err != nil {
		return nil, fmt.Errorf("coco: %s: %w", path, err)
	}
	return results, nil
}

// ReadResults reads a results file: a JSON list of detections with image_id,
// category_id, score, and bbox, segmentation or both. A missing id or score is an
// error that names the record's place in the list. Evaluate checks whether the results fit
// a data set.
func ReadResults(r io.Reader) ([]Result, error) {
	results, err := readResults(r)
	if err != nil {
		return nil, fmt.Errorf("coco: %w", err)
	}
	return results, nil
}

func readResults(r io.Reader) ([]Result, error) {
	p := newParser(r)
	var results []Result
	err := list(p, &results, p.result)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	return results, nil
}

func (p *parser) result(d *Result) error {
	return p.fields(&d.Extra, func(name string) (bool, error) {
		switch name {
		case "image_id":
			return true, p.int(&d.ImageID)
		case "category_id":
			return true, p.int(&d.CategoryID)
		case "score":
			return true, p.float(&d.Score)
		case "bbox":
			return true, p.box(&d.BBox, &d.HasBBox)
		case "segmentation":
			return true, p.segmentation(&d.Segmentation)
		}
		return false, nil
	}, "image_id", "category_id", "score")
}
