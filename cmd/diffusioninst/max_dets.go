package main

import "github.com/diffusioninst/go/coco"

// usualDetections returns how many detections the rules of a style count: of a class in a picture, or with LVIS of a picture.
func usualDetections(style string) int {
	if coco.Style(style) == coco.LVIS {
		return 300
	}
	return 100
}

// allDetections returns the --max-dets with which up to limit detections of a picture count, or all of results if limit is negative;
// nil if the rules count as many.
func allDetections(limit int, style string, results []coco.Result) []int {
	if limit < 0 {
		limit = mostDetections(style, results)
	}
	switch {
	case limit <= usualDetections(style):
		return nil
	case coco.Style(style) == coco.LVIS:
		return []int{limit}
	}
	return []int{1, 10, limit}
}

// mostDetections returns the greatest number of results of a class in a picture, or with LVIS of a picture.
func mostDetections(style string, results []coco.Result) int {
	type place struct{ image, category int64 }
	most, of := 0, map[place]int{}
	for i := range results {
		at := place{results[i].ImageID, results[i].CategoryID}
		if coco.Style(style) == coco.LVIS {
			at.category = 0
		}
		of[at]++
		most = max(most, of[at])
	}
	return most
}
