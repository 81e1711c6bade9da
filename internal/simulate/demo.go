package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/draw"
	"image/png"
)

// DemoName is the file name of the demonstration's picture.
const DemoName = "nuclei.png"

// Demo returns the demonstration's picture as a grey PNG file and its true masks as a COCO
// data set. Its size and brightness and its nuclei's width are common ones of the pictures of
// the Data Science Bowl 2018.
func Demo() (picture, dataset []byte, err error) {
	img, objects := Nuclei(Options{Width: 360, Height: 288, Count: 46, Radius: 12, Brightness: 0.65, Seed: 2})
	grey := image.NewGray(img.Rect)
	draw.Draw(grey, grey.Rect, img, image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, grey); err != nil {
		return nil, nil, fmt.Errorf("simulate: %w", err)
	}
	dataset, err = cocoDataset(DemoName, "nucleus", img.Rect.Dx(), img.Rect.Dy(), objects)
	return b.Bytes(), dataset, err
}

type dict = map[string]any

// cocoDataset returns a COCO data set of one picture with objects of one class.
func cocoDataset(file, class string, width, height int, objects []Object) ([]byte, error) {
	annotations := make([]dict, len(objects))
	for i, o := range objects {
		annotations[i] = dict{
			"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": o.Mask.Area(),
			"bbox":         []int{o.Box.Min.X, o.Box.Min.Y, o.Box.Dx(), o.Box.Dy()},
			"segmentation": dict{"size": []int{height, width}, "counts": o.Mask.RLE().String()},
		}
	}
	text, err := json.MarshalIndent(dict{
		"info":        dict{"description": "Drawn by internal/simulate: the masks are exact."},
		"images":      []dict{{"id": 1, "file_name": file, "width": width, "height": height}},
		"categories":  []dict{{"id": 1, "name": class}},
		"annotations": annotations,
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	return append(text, '\n'), nil
}
