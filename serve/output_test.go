package serve

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/picture"
)

// Every form is what its writer makes of the result that the model gives, with measurements at
// the depth of the file.
func TestFormsOfAnswers(t *testing.T) {
	s := newServer(t, Options{Segment: everything})
	deep := image.NewGray16(image.Rect(0, 0, 50, 40))
	for y := range 40 {
		for x := range 50 {
			deep.SetGray16(x, y, color.Gray16{uint16(300 + 3*x*y)})
		}
	}
	var data bytes.Buffer
	require.NoError(t, png.Encode(&data, deep))
	original, err := picture.Decode(bytes.NewReader(data.Bytes()), picture.Options{})
	require.NoError(t, err)
	m := s.models["tiny"].model.Load()
	seen, err := original.Normalized(picture.Auto)
	require.NoError(t, err)
	o := everything
	o.Normalize = picture.None
	result, err := m.Segment(context.Background(), seen, o)
	require.NoError(t, err)
	p := evaluation.LabeledImage(result, 0, "", evaluation.Categories([]string{"circle"}))
	require.NotEmpty(t, p.Instances)
	measured := annotation.Measure(p, 0, original.Samples())
	none := func(write func(io.Writer, *coco.LabeledImage) error) func(io.Writer) error {
		return func(w io.Writer) error { return write(w, p) }
	}
	for _, c := range []struct {
		output, kind string
		write        func(io.Writer) error
	}{
		{"labeltiff", "image/tiff", func(w io.Writer) error { _, err := annotation.WriteLabelTIFF(w, p, 0); return err }},
		{"geojson", "application/geo+json", func(w io.Writer) error { return annotation.WriteGeoJSON(w, p, measured) }},
		{"measurements", "text/csv", func(w io.Writer) error { return annotation.WriteMeasurements(w, p, measured) }},
		{"imagej", "application/zip", none(annotation.WriteImageJ)},
		{"cellpose", "application/octet-stream", func(w io.Writer) error { _, err := annotation.WriteCellpose(w, p); return err }},
	} {
		var want bytes.Buffer
		require.NoError(t, c.write(&want))
		for _, header := range []string{"Accept: " + c.kind, "Accept: text/html;q=0.1, " + c.kind + ";q=0.5"} {
			w := post(s, "/v1/segment", bytes.NewReader(data.Bytes()), header)
			require.Equal(t, 200, w.Code, w.Body)
			require.Equal(t, c.kind, w.Header().Get("Content-Type"))
			require.Equal(t, want.Bytes(), w.Body.Bytes(), c.output)
		}
		require.Equal(t, want.Bytes(), post(s, "/v1/segment?output="+c.output, bytes.NewReader(data.Bytes())).Body.Bytes())
		require.Equal(t, 406, post(s, "/v1/segment?output="+c.output, bytes.NewReader(data.Bytes()), "Accept: image/png").Code)
	}
	w := post(s, "/v1/segment?output=measurements", bytes.NewReader(data.Bytes()))
	require.Contains(t, w.Body.String(), "max_grey")
	w = post(s, "/v1/segment?output=labeltiff", bytes.NewReader(data.Bytes()))
	require.Contains(t, w.Header().Values("X-Warning"), "1 instances are partly covered by others and lose those pixels")
}
