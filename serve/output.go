package serve

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/pngbuffer"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// An output is a form of answers.
type output struct {
	kind     string // media type
	measures bool   // the channels of the file
	// write returns how many instances others cover in part. It is nil for JSON, overlays and label maps.
	write func(w io.Writer, p *coco.LabeledImage, j *job, size float64) (covered int, err error)
}

// outputNames are the names of the outputs. The first one that a client accepts is taken.
var outputNames = []string{"json", "overlay", "labels", "labeltiff", "geojson", "measurements", "imagej", "cellpose"}

var outputs = map[string]output{
	"json":    {kind: "application/json"},
	"overlay": {kind: "image/png"},
	"labels":  {kind: "image/png"},
	"labeltiff": {kind: "image/tiff", write: func(w io.Writer, p *coco.LabeledImage, _ *job, size float64) (int, error) {
		return annotation.WriteLabelTIFF(w, p, size)
	}},
	"geojson": {kind: "application/geo+json", measures: true, write: func(w io.Writer, p *coco.LabeledImage, j *job, size float64) (int, error) {
		return 0, annotation.WriteGeoJSON(w, p, annotation.Measure(p, size, j.channels))
	}},
	"measurements": {kind: "text/csv", measures: true, write: func(w io.Writer, p *coco.LabeledImage, j *job, size float64) (int, error) {
		return 0, annotation.WriteMeasurements(w, p, annotation.Measure(p, size, j.channels))
	}},
	"imagej": {kind: "application/zip", write: func(w io.Writer, p *coco.LabeledImage, _ *job, _ float64) (int, error) {
		return 0, annotation.WriteImageJ(w, p)
	}},
	"cellpose": {kind: "application/octet-stream", write: func(w io.Writer, p *coco.LabeledImage, _ *job, _ float64) (int, error) {
		return annotation.WriteCellpose(w, p)
	}},
}

// result is encode, with the warnings as headers.
func (s *Server) result(w http.ResponseWriter, q *query, seen *picture.Picture, j *job) (kind string, body []byte, err error) {
	start := time.Now()
	kind, body, warnings, err := q.encode(seen, j)
	for _, text := range warnings {
		w.Header().Add("X-Warning", printable(text))
	}
	s.metrics.stage("encode", time.Since(start))
	return kind, body, err
}

// encode returns the answer's media type and bytes. warnings are the notes and warnings that JSON
// has inside, for other forms.
func (q *query) encode(seen *picture.Picture, j *job) (kind string, body []byte, warnings []string, err error) {
	if q.output == "json" {
		kind, body, err = q.encodeJSON(seen, j)
		return kind, body, nil, err
	}
	warnings = append(append(warnings, seen.Notes...), seen.Warnings...)
	o := outputs[q.output]
	switch q.output {
	case "overlay":
		var img image.Image
		if img, err = mask.Overlay(seen.Image, j.result.OverlayItems(), mask.OverlayOptions{}); err == nil {
			body, err = encodePNG(img)
		}
		return o.kind, body, warnings, err
	case "labels":
		img, err := j.result.LabelMap()
		if err != nil {
			return "", nil, nil, &Problem{Status: http.StatusUnprocessableEntity, Code: "too_many_instances", Message: err.Error(), err: err}
		}
		body, err = encodePNG(img)
		return o.kind, body, warnings, err
	}
	var b bytes.Buffer
	covered, err := o.write(&b, evaluation.LabeledImage(j.result, 0, "", evaluation.Categories(j.classes)), j, seen.PixelSide())
	if covered > 0 {
		warnings = append(warnings, fmt.Sprintf("%d instances are partly covered by others and lose those pixels", covered))
	}
	return o.kind, b.Bytes(), warnings, err
}

var pngs = png.Encoder{CompressionLevel: png.BestSpeed, BufferPool: pngbuffer.Shared}

func encodePNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := pngs.Encode(&b, img)
	return b.Bytes(), err
}

// printable returns a text with what a header cannot hold as question marks.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
}

// negotiate returns the output that is asked for, or else the first one that is accepted.
func negotiate(output string, accept []string) (string, error) {
	best, weight := "", 0.0
	for _, name := range outputNames {
		if output != "" && output != name {
			continue
		}
		group, kind, _ := strings.Cut(outputs[name].kind, "/")
		if w := accepted(accept, group, kind); w > weight {
			best, weight = name, w
		}
	}
	if best != "" {
		return best, nil
	}
	if output != "" {
		return "", problem(http.StatusNotAcceptable, "not_acceptable", "output=%s is %s; Accept excludes it", output, outputs[output].kind)
	}
	var kinds []string
	for _, name := range outputNames {
		kinds = append(kinds, fmt.Sprintf("%s (%s)", outputs[name].kind, name))
	}
	return "", problem(http.StatusNotAcceptable, "not_acceptable", "the answer is one of %s; Accept excludes them", strings.Join(kinds, ", "))
}
