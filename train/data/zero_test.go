package data_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/train/data"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(data.COCO), new(data.Chain), new(data.ColorJitter), new(data.Flip), new(data.LabelMe),
		new(data.LargeScaleJitter), new(data.Loader), new(data.OneOf), new(data.RandomCrop), new(data.ResizeShortest),
		new(data.Rotate90), new(data.Sample), new(data.SampleError), new(data.Scale), new(data.Sometimes), data.ClassCounts,
		data.Collect, data.NewLoader, data.NonEmpty, data.Open, data.OpenCOCO, data.OpenLabelMe, data.RepeatFactors,
		data.Subset, data.Summaries,
	)
}
