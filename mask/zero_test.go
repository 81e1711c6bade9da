package mask_test

import (
	"testing"

	"github.com/diffusioninst/go/internal/zerotest"
	"github.com/diffusioninst/go/mask"
)

func TestNothing(t *testing.T) {
	zerotest.Check(t,
		new(mask.Bitmap), new(mask.Box), new(mask.ImageError), new(mask.Measurement), new(mask.Part), new(mask.RLE),
		new(mask.SizeError), mask.Difference, mask.FromPolygon, mask.FromPolygons, mask.FromRings, mask.Intersection,
		mask.IoU, mask.LabelMap, mask.Merge, mask.Overlaps, mask.Overlay, mask.ParseRLE, mask.SplitLabelMap, mask.Union,
	)
}
