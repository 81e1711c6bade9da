package annotation_test

import (
	"testing"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/internal/zerotest"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(annotation.Measurements), annotation.Each, annotation.Inspect, annotation.LabelMeFile, annotation.Open,
		annotation.Recognize, annotation.WriteCellpose, annotation.WriteGeoJSON, annotation.WriteImageJ,
		annotation.WriteLabelPreview, annotation.WriteLabelTIFF, annotation.WriteLabels, annotation.WriteMeasurements,
		annotation.WriteSummary, annotation.WriteYOLO, annotation.WriteYOLOConfig,
	)
}
