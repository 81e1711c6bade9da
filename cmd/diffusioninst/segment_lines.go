//go:build cgo

package main

import (
	"encoding/json"
	"io"

	"github.com/diffusioninst/go/coco"
)

// A lineWriter writes a line of JSON per picture, for a program that reads them as they come.
type lineWriter struct {
	w   io.Writer
	err error // of writing: nobody reads any more
}

// segmentLine is what a line holds. Detections are in the form of COCO results.
type segmentLine struct {
	ImageID    int64         `json:"image_id"`
	FileName   string        `json:"file_name"`
	Width      int           `json:"width"`
	Height     int           `json:"height"`
	Detections []coco.Result `json:"detections"`
}

func (l *lineWriter) write(p *coco.LabeledImage) error {
	line := segmentLine{p.ImageID, p.FileName, p.Width, p.Height, append([]coco.Result{}, p.Results()...)}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, l.err = l.w.Write(append(text, '\n'))
	return l.err
}
