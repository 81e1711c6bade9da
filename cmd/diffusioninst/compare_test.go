package main

import (
	"image"
	"image/color"
	"image/draw"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// rectangles makes instances of category "a" of 40×20 masks.
func rectangles(rects ...image.Rectangle) *coco.LabeledImage {
	p := &coco.LabeledImage{FileName: "p.png", Width: 40, Height: 20}
	for i, r := range rects {
		m := mask.NewBitmap(p.Width, p.Height)
		m.Fill(r)
		p.Instances = append(p.Instances, coco.LabeledInstance{Category: "a", Mask: m.RLE(), HasScore: true, Score: 1 - float64(i)/10})
	}
	return p
}

func TestPair(t *testing.T) {
	one, half, other := image.Rect(0, 0, 10, 10), image.Rect(0, 0, 10, 6), image.Rect(20, 0, 30, 10)
	for name, c := range map[string]struct {
		found, truth []image.Rectangle
		edit         func(found, truth *coco.LabeledImage)
		want         agreement
	}{
		"nothing":                      {nil, nil, nil, agreement{}},
		"nothing found":                {nil, []image.Rectangle{one}, nil, agreement{0, 1, 0, 0}},
		"nothing there":                {[]image.Rectangle{one}, nil, nil, agreement{1, 0, 0, 0}},
		"the same":                     {[]image.Rectangle{other, one}, []image.Rectangle{one, other}, nil, agreement{2, 2, 2, 2}},
		"half of it and more":          {[]image.Rectangle{half}, []image.Rectangle{one}, nil, agreement{1, 1, 1, 0.6}},
		"less than half":               {[]image.Rectangle{image.Rect(0, 0, 10, 4)}, []image.Rectangle{one}, nil, agreement{1, 1, 0, 0}},
		"exactly half":                 {[]image.Rectangle{image.Rect(0, 0, 10, 5)}, []image.Rectangle{one}, nil, agreement{1, 1, 1, 0.5}},
		"twice: the surer one has it":  {[]image.Rectangle{half, one}, []image.Rectangle{one}, nil, agreement{2, 1, 1, 0.6}},
		"the larger overlap is chosen": {[]image.Rectangle{one}, []image.Rectangle{half, one}, nil, agreement{1, 2, 1, 1}},
		"another category":             {[]image.Rectangle{one}, []image.Rectangle{one}, func(found, _ *coco.LabeledImage) { found.Instances[0].Category = "b" }, agreement{1, 1, 0, 0}},
		"scores go before the order": {[]image.Rectangle{half, one}, []image.Rectangle{one}, func(found, _ *coco.LabeledImage) {
			found.Instances[0].Score = 0.1
		}, agreement{2, 1, 1, 1}},
		"in a crowd": {[]image.Rectangle{one, image.Rect(21, 1, 25, 5), image.Rect(26, 1, 29, 5)}, []image.Rectangle{one, other}, func(_, truth *coco.LabeledImage) {
			truth.Instances[1].Crowd = true
		}, agreement{1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			found, truth := rectangles(c.found...), rectangles(c.truth...)
			if c.edit != nil {
				c.edit(found, truth)
			}
			got, err := pair(found, truth)
			require.NoError(t, err)
			require.Equal(t, c.want, got.agreement)
		})
	}
	_, err := pair(rectangles(one), &coco.LabeledImage{Width: 20, Height: 40})
	require.ErrorContains(t, err, "p.png: the picture has 40×20 pixels, but its true masks have 20×40")
}

// Three rectangles, one each of what is matched, found only and there only, have their
// colours at their edges.
func TestComparisonDraws(t *testing.T) {
	dir := t.TempDir()
	truth := coco.NewBuilder([]coco.Category{{ID: 1, Name: "a"}})
	p := rectangles(image.Rect(0, 0, 10, 10), image.Rect(30, 0, 40, 10))
	require.NoError(t, truth.Add(p))
	file := filepath.Join(dir, "truth.json")
	require.NoError(t, truth.Dataset.Save(file))

	_, err := newComparison(file, dir, []string{"b"}, annotation.Options{})
	require.ErrorContains(t, err, `the model has no class "a"`)
	c, err := newComparison(file, filepath.Join(dir, "drawn"), []string{"a"}, annotation.Options{})
	require.NoError(t, err)
	found := rectangles(image.Rect(0, 0, 10, 10), image.Rect(15, 0, 25, 10))
	dst := image.NewNRGBA(image.Rect(0, 0, 40, 20))
	draw.Draw(dst, dst.Rect, image.Black, image.Point{}, draw.Src)
	pixels := func() (image.Image, error) { return dst, nil }
	require.NoError(t, c.add(found, pixels))
	drawn, err := picture.Open(filepath.Join(dir, "drawn", "p.png"), picture.Options{})
	require.NoError(t, err)
	for x, want := range map[int]color.Color{0: hitColor, 15: falseColor, 30: missColor, 12: color.NRGBA{0, 0, 0, 255}} {
		require.Equal(t, color.RGBAModel.Convert(want), drawn.At(x, 5))
	}

	found.FileName = "folder/p.png"
	require.NoError(t, c.add(found, pixels), "the name alone is enough")
	require.FileExists(t, filepath.Join(dir, "drawn", "folder", "p.png"))
	found.FileName = "q.png"
	require.ErrorContains(t, c.add(found, pixels), "q.png: --gt has no true masks for this picture")
	f, err := os.Create(filepath.Join(dir, "out.txt"))
	require.NoError(t, err)
	require.NoError(t, c.write(f))
	require.NoError(t, f.Close())
	text, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, "p.png: 2 found, 2 true, 1 matched at IoU 0.5 with a mean IoU of 1.000 (precision 0.500, recall 0.500)\n"+
		"folder/p.png: 2 found, 2 true, 1 matched at IoU 0.5 with a mean IoU of 1.000 (precision 0.500, recall 0.500)\n"+
		"2 pictures: 4 found, 4 true, 2 matched at IoU 0.5 with a mean IoU of 1.000 (precision 0.500, recall 0.500)\n", string(text))
}
