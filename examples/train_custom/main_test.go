package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/journal"
)

// draw makes ten pictures with COCO and with LabelMe annotations.
func draw(t *testing.T) (folder, annotations string, first image.Image) {
	folder, annotations = t.TempDir(), filepath.Join(t.TempDir(), "instances.json")
	var categories []coco.Category
	for i, name := range simulate.ShapeNames {
		categories = append(categories, coco.Category{ID: int64(i + 1), Name: name})
	}
	set := coco.NewBuilder(categories)
	for i := range 10 {
		img, objects := simulate.Shapes(simulate.Options{Width: 64, Height: 48, Count: 8, Seed: uint64(i)})
		if i == 0 {
			first = img
		}
		p := &coco.LabeledImage{FileName: fmt.Sprintf("%d.png", i), Width: 64, Height: 48}
		for _, o := range objects {
			p.Instances = append(p.Instances, coco.LabeledInstance{
				CategoryID: categories[o.Class].ID, Category: categories[o.Class].Name, Mask: o.Mask.RLE(),
			})
		}
		require.NoError(t, set.Add(p))
		var picture, labels bytes.Buffer
		require.NoError(t, png.Encode(&picture, img))
		require.NoError(t, coco.WriteLabelMe(&labels, p, coco.LabelMeOptions{}))
		require.NoError(t, os.WriteFile(filepath.Join(folder, p.FileName), picture.Bytes(), 0o666))
		require.NoError(t, os.WriteFile(filepath.Join(folder, p.Stem()+".json"), labels.Bytes(), 0o666))
	}
	require.NoError(t, set.Dataset.Save(annotations))
	return folder, annotations, first
}

func TestRun(t *testing.T) {
	images, annotations, first := draw(t)
	for _, annotations := range []string{annotations, ""} {
		live := torch.Live()
		o := options{images: images, annotations: annotations, out: t.TempDir(), steps: 3, batch: 2, size: 48}
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), o, &out))
		require.Contains(t, out.String(), "8 pictures to learn from, 2 to measure on")
		require.Contains(t, out.String(), "step 3 of 3: loss ")
		require.Contains(t, out.String(), "after step 3: AP ")

		series, err := journal.Read(filepath.Join(o.out, "train.csv"))
		require.NoError(t, err)
		require.Len(t, series[0].Points, 3)
		model, err := diffusioninst.Load(t.Context(), filepath.Join(o.out, "model.safetensors"), diffusioninst.LoadOptions{})
		require.NoError(t, err)
		require.ElementsMatch(t, simulate.ShapeNames, model.Config().Classes)
		_, err = model.Segment(t.Context(), first, diffusioninst.Options{Score: -1})
		require.NoError(t, err)
		model.Close()
		require.Equal(t, live, torch.Live())

		require.ErrorContains(t, run(t.Context(), o, &out), "there is a run in this folder already")
		o.resume = true
		require.NoError(t, run(t.Context(), o, &out), "nothing is left to do")
	}
}
