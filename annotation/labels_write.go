package annotation

import (
	"cmp"
	"fmt"
	"image/png"
	"io"
	"slices"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// WriteLabels writes a picture's instances as a 16-bit grey PNG whose value is the number of
// the instance there, from 1, and 0 for background. Where instances overlap the one
// of the highest score is seen; covered is the number of others, which lose pixels. More
// than 65535 instances are an error.
func WriteLabels(w io.Writer, p *coco.LabeledImage) (covered int, err error) {
	order := slices.Clone(p.Instances)
	slices.SortStableFunc(order, func(a, b coco.LabeledInstance) int { return cmp.Compare(a.Score, b.Score) })
	masks := make([]*mask.Bitmap, len(order))
	for i := range order {
		masks[i] = order[i].Mask.Bitmap()
	}
	m, err := mask.LabelMap(p.Width, p.Height, masks)
	if err != nil {
		return 0, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	seen := make([]int, len(order)+1)
	for i := 0; i < len(m.Pix); i += 2 {
		seen[int(m.Pix[i])<<8|int(m.Pix[i+1])]++
	}
	for i := range order {
		if seen[i+1] < order[i].Mask.Area() {
			covered++
		}
	}
	if err := png.Encode(w, m); err != nil {
		return 0, fmt.Errorf("annotation: %s: %w", p.FileName, err)
	}
	return covered, nil
}
