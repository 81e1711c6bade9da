package main

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/simulate"
)

// shapesSet writes a data set of simulated pictures with COCO's classes, of which it
// has the first three, and returns its file and its folder.
func shapesSet(t *testing.T, pictures int) (file, folder string) {
	t.Helper()
	folder = t.TempDir()
	data := &coco.Dataset{Categories: coco.COCOClasses()}
	for i := range pictures {
		img, objects := simulate.Shapes(simulate.Options{Width: 96 + 8*i, Height: 72, Count: 5, Seed: uint64(i)})
		m := coco.Image{ID: int64(10 - i), Width: img.Rect.Dx(), Height: img.Rect.Dy(), FileName: fmt.Sprintf("train/%d.png", i)}
		data.Images = append(data.Images, m)
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "train"), 0o777))
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, img))
		require.NoError(t, os.WriteFile(filepath.Join(folder, m.FileName), b.Bytes(), 0o666))
		for _, o := range objects {
			data.Annotations = append(data.Annotations, coco.Annotation{
				ID: int64(len(data.Annotations) + 1), ImageID: m.ID, CategoryID: data.Categories[o.Class%3].ID,
				Segmentation: coco.NewSegmentation(o.Mask.RLE()), Area: float64(o.Mask.Area()), HasArea: true, HasBBox: true,
				BBox: [4]float64{float64(o.Box.Min.X), float64(o.Box.Min.Y), float64(o.Box.Dx()), float64(o.Box.Dy())},
			})
		}
	}
	file = filepath.Join(t.TempDir(), "gt.json")
	require.NoError(t, data.Save(file))
	return file, folder
}
