package main

import (
	"context"
	"image"
	"image/color"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/train/data"
	"github.com/diffusioninst/go/train/journal"
)

// evaluate returns the average precisions, from 0 to 1, of the masks that a model finds in
// the pictures of a data set.
func evaluate(ctx context.Context, m *diffusioninst.Model, set data.Dataset) ([]journal.Scalar, error) {
	categories := evaluation.Categories(set.Classes())
	truth := coco.NewBuilder(categories)
	var found []coco.Result
	for i := range set.Len() {
		s, err := set.Sample(ctx, i)
		if err != nil {
			return nil, err
		}
		p := &coco.LabeledImage{ImageID: int64(i + 1), FileName: s.ID, Width: s.Width, Height: s.Height}
		for _, o := range s.Objects {
			p.Instances = append(p.Instances, coco.LabeledInstance{CategoryID: categories[o.Class].ID, Mask: o.Mask.RLE()})
		}
		if err := truth.Add(p); err != nil {
			return nil, err
		}
		result, err := m.Segment(ctx, picture(s), diffusioninst.Options{Score: 0.05, Limit: 100, Seed: uint64(i)})
		if err != nil {
			return nil, err
		}
		found = append(found, evaluation.LabeledImage(result, p.ImageID, s.ID, categories).Results()...)
	}
	report, err := coco.Evaluate(ctx, &truth.Dataset, found, coco.Options{})
	if err != nil {
		return nil, err
	}
	var metrics []journal.Scalar
	for _, name := range []string{"AP", "AP50", "AP75"} {
		v, _ := report.Metric(name)
		metrics = append(metrics, journal.Scalar{Name: name, Value: v})
	}
	return metrics, nil
}

// picture returns the pixels of a sample as an image.
func picture(s data.Sample) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, s.Width, s.Height))
	for i := range s.Width * s.Height {
		img.SetNRGBA(i%s.Width, i/s.Width, color.NRGBA{R: s.RGB[3*i], G: s.RGB[3*i+1], B: s.RGB[3*i+2], A: 255})
	}
	return img
}
