package main

import (
	"image"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// A conversion says which classes and scores the format cannot hold, and is silent where
// nothing is lost.
func TestConvertSaysWhatIsLost(t *testing.T) {
	const classes, scores = "2 instances of 2 classes are written without their classes", "1 instances are written without their scores"
	lost := map[string][]string{
		"labels": {classes, scores}, "dsb": {classes, scores}, "cellpose": {classes, scores}, "labeltiff": {classes, scores}, "yolo": {scores},
		"coco": nil, "labelme": nil, "labelmap": nil, "masks": nil, "imagej": nil, "geojson": nil, "measurements": nil,
	}
	_, images := drawn(t)
	square := func(x int) mask.RLE {
		b := mask.NewBitmap(64, 48)
		b.Fill(image.Rect(x, 10, x+10, 30))
		return b.RLE()
	}
	builder := coco.NewBuilder(nil)
	require.NoError(t, builder.Add(&coco.LabeledImage{FileName: "sub/a.png", Width: 64, Height: 48, Instances: []coco.LabeledInstance{
		{Category: "a", Mask: square(5)}, {Category: "b", Mask: square(30), Score: 0.5, HasScore: true},
	}}))
	both := filepath.Join(t.TempDir(), "both.json")
	require.NoError(t, builder.Dataset.Save(both))
	one, _ := drawn(t) // of one class without scores: nothing that anyone would miss
	for format, want := range lost {
		t.Run(format, func(t *testing.T) {
			_, said, err := runProgram(nil, "convert", "--images", images, "--to", format, both, filepath.Join(t.TempDir(), "out"))
			require.NoError(t, err)
			for _, text := range []string{classes, scores} {
				if slices.Contains(want, text) {
					require.Contains(t, said, text)
				} else {
					require.NotContains(t, said, text)
				}
			}
			if format == "dsb" {
				return // its second picture is not there
			}
			_, said, err = runProgram(nil, "convert", "--to", format, one, filepath.Join(t.TempDir(), "out"))
			require.NoError(t, err)
			require.NotContains(t, said, "without their")
		})
	}
}

// A class without a name is written by its id, which every form can be read back with.
func TestConvertNamelessClass(t *testing.T) {
	m := mask.NewBitmap(64, 48)
	m.Fill(image.Rect(10, 10, 40, 30))
	builder := coco.NewBuilder([]coco.Category{{ID: 4}})
	require.NoError(t, builder.Add(&coco.LabeledImage{FileName: "a.png", Width: 64, Height: 48, Instances: []coco.LabeledInstance{{CategoryID: 4, Mask: m.RLE()}}}))
	file := filepath.Join(t.TempDir(), "data.json")
	require.NoError(t, builder.Dataset.Save(file))
	for _, format := range []string{"labelme", "labelmap", "masks", "imagej", "geojson"} {
		t.Run(format, func(t *testing.T) {
			there, back := filepath.Join(t.TempDir(), "there"), filepath.Join(t.TempDir(), "back.json")
			_, err := program(t, "convert", "--to", format, file, there)
			require.NoError(t, err)
			_, err = program(t, "convert", "--to", "coco", there, back)
			require.NoError(t, err)
			data, err := coco.Load(back)
			require.NoError(t, err)
			require.Len(t, data.Annotations, 1)
			require.Equal(t, "4", data.Categories[0].Name)
		})
	}
}
