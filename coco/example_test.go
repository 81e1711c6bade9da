package coco_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"log"
	"os"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

const annotations = `{
 "images": [{"id": 7, "width": 100, "height": 80, "file_name": "kites.jpg"}],
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 38, "iscrowd": 0, "area": 600, "bbox": [10, 10, 30, 20],
   "segmentation": [[10, 10, 40, 10, 40, 30, 10, 30]]},
  {"id": 2, "image_id": 7, "category_id": 38, "iscrowd": 0, "area": 400, "bbox": [60, 40, 20, 20],
   "segmentation": [[60, 40, 80, 40, 80, 60, 60, 60]]}],
 "categories": [{"id": 38, "name": "kite"}]
}`

const detections = `[{"image_id": 7, "category_id": 38, "score": 0.9, "bbox": [10, 10, 30, 20],
 "segmentation": {"size": [80, 100], "counts": [810, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 60, 20, 4850]}}]`

func ExampleEvaluate() {
	data, err := coco.Read(strings.NewReader(annotations))
	if err != nil {
		log.Fatal(err)
	}
	results, err := coco.ReadResults(strings.NewReader(detections))
	if err != nil {
		log.Fatal(err)
	}
	report, err := coco.Evaluate(context.Background(), data, results, coco.Options{IoU: coco.Segm})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"AP", "AP50", "APl", "AR100"} {
		value, _ := report.Metric(name)
		fmt.Printf("%s %.3f\n", name, value)
	}
	// Output:
	// AP 0.505
	// AP50 0.505
	// APl -1.000
	// AR100 0.500
}

func ExampleAnalyze() {
	data, err := coco.Read(strings.NewReader(annotations))
	if err != nil {
		log.Fatal(err)
	}
	results, err := coco.ReadResults(strings.NewReader(detections))
	if err != nil {
		log.Fatal(err)
	}
	breakdown, err := coco.Analyze(context.Background(), data, results, coco.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range breakdown.Errors {
		if e.Count > 0 {
			fmt.Printf("%d %s, %.2f of AP %.2f lost\n", e.Count, e.Kind, e.DeltaAP, 1.)
		}
	}
	// Output: 1 missed, 0.50 of AP 1.00 lost
}

func ExampleDataset_Validate() {
	data, err := coco.Read(strings.NewReader(strings.Replace(annotations, `"category_id": 38, "iscrowd"`, `"category_id": 39, "iscrowd"`, 1)))
	if err != nil {
		log.Fatal(err)
	}
	for _, problem := range data.Validate() {
		fmt.Println(problem)
	}
	// Output: annotation 1 (record 0): category 39 is not in the data set
}

func ExampleDataset_LabeledImages() {
	data, err := coco.Read(strings.NewReader(annotations))
	if err != nil {
		log.Fatal(err)
	}
	for picture, err := range data.LabeledImages() {
		if err != nil {
			log.Fatal(err)
		}
		for _, v := range picture.Instances {
			fmt.Println(picture.FileName, v.Category, v.Mask.Area(), "pixels")
		}
	}
	// Output:
	// kites.jpg kite 600 pixels
	// kites.jpg kite 400 pixels
}

// One detection in the forms that people's tools read.
func ExampleLabeledImage() {
	b := mask.NewBitmap(64, 48)
	b.Fill(image.Rect(8, 8, 24, 20))
	p := &coco.LabeledImage{ImageID: 7, FileName: "kites.jpg", Width: 64, Height: 48, Instances: []coco.LabeledInstance{
		{CategoryID: 38, Category: "kite", Score: .9, HasScore: true, Mask: b.RLE()},
	}}
	if err := coco.WriteResults(os.Stdout, p.Results()); err != nil {
		log.Fatal(err)
	}
	var labelMap, legend, labelMe bytes.Buffer
	if err := coco.WriteLabelMap(&labelMap, &legend, p); err != nil {
		log.Fatal(err)
	}
	if err := coco.WriteLabelMe(&labelMe, p, coco.LabelMeOptions{}); err != nil {
		log.Fatal(err)
	}
	back, err := coco.ReadLabelMap(&labelMap, &legend)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Instances[0].Category, back.Instances[0].Mask.Area())
	// Output:
	// [
	// {"image_id":7,"category_id":38,"bbox":[8,8,16,12],"score":0.9,"segmentation":{"size":[48,64],"counts":"X<<T100000000000000000000000000000hk1"}}]
	// kite 192
}

func ExampleBuilder() {
	b := mask.NewBitmap(64, 48)
	b.Fill(image.Rect(8, 8, 24, 20))
	builder := coco.NewBuilder(coco.COCOClasses())
	err := builder.Add(&coco.LabeledImage{FileName: "a.jpg", Width: 64, Height: 48,
		Instances: []coco.LabeledInstance{{Category: "kite", Mask: b.RLE()}}})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range builder.Dataset.Annotations {
		fmt.Println(a.CategoryID, a.BBox, a.Area)
	}
	// Output: 38 [8 8 16 12] 192
}

func ExampleDataset_Index() {
	data, err := coco.Read(strings.NewReader(annotations))
	if err != nil {
		log.Fatal(err)
	}
	index, err := data.Index()
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range index.OfImage(7) {
		fmt.Println(data.Annotations[i].ID, data.Annotations[i].BBox)
	}
	// Output:
	// 1 [10 10 30 20]
	// 2 [60 40 20 20]
}

// A detector's class 33 is the category 38 of COCO.
func ExampleCOCOClasses() {
	fmt.Println(coco.COCOClasses()[33].ID, coco.COCOClasses()[33].Name)
	fmt.Println(coco.LVISClasses()[610].ID, coco.LVISClasses()[610].Name, coco.LVISClasses()[610].Frequency)
	// Output:
	// 38 kite
	// 611 kite f
}

func ExampleReadLabelMe() {
	p, err := coco.ReadLabelMe(strings.NewReader(`{"imagePath": "a.jpg", "imageWidth": 64, "imageHeight": 48, "shapes": [
		{"label": "kite", "shape_type": "rectangle", "points": [[8, 8], [24, 20]]}]}`), coco.LabelMeReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Instances[0].Category, p.Instances[0].Mask.Area(), "pixels")
	// Output: kite 192 pixels
}
