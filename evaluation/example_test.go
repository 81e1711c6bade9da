package evaluation_test

import (
	"fmt"
	"image"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/mask"
)

// The result of a model becomes detections that coco.Evaluate takes.
func ExampleLabeledImage() {
	m := mask.NewBitmap(64, 48)
	m.Fill(image.Rect(10, 10, 30, 40))
	result := &diffusioninst.Result{Width: 64, Height: 48, Instances: []diffusioninst.Instance{
		{Class: 1, Name: "kite", Score: 0.5, Box: mask.BoxOf(m.Box()), Mask: m},
	}}
	categories := evaluation.Categories([]string{"person", "kite"})
	for _, r := range evaluation.LabeledImage(result, 7, "kites.jpg", categories).Results() {
		fmt.Println("image", r.ImageID, "category", r.CategoryID, "score", r.Score, "box", r.BBox)
	}
	// Output: image 7 category 2 score 0.5 box [10 10 20 30]
}

func ExampleCategories() {
	for _, c := range evaluation.Categories([]string{"nucleus", "debris"}) {
		fmt.Println(c.ID, c.Name)
	}
	// Output:
	// 1 nucleus
	// 2 debris
}
