package annotation

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/mask"
)

// scene is a picture with a square, a ring, an object of two parts, and one at the edge.
func scene() *coco.LabeledImage {
	p := &coco.LabeledImage{FileName: "a.png", Width: 67, Height: 41}
	for i, draw := range [][]image.Rectangle{
		{image.Rect(2, 3, 12, 13)},
		{image.Rect(20, 5, 35, 10), image.Rect(20, 15, 35, 20), image.Rect(20, 5, 25, 20), image.Rect(30, 5, 35, 20)},
		{image.Rect(2, 25, 8, 30), image.Rect(12, 26, 20, 35)},
		{image.Rect(50, 30, 67, 41)},
	} {
		m := mask.NewBitmap(p.Width, p.Height)
		for _, r := range draw {
			m.Fill(r)
		}
		p.Instances = append(p.Instances, coco.LabeledInstance{Category: []string{"cell", "ring: \"x\""}[i%2], Mask: m.RLE()})
	}
	return p
}

func grey(t testing.TB, path string, width, height int) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 37)
	}
	writePNG(t, path, m)
}

func writePNG(t testing.TB, path string, m image.Image) {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, png.Encode(&text, m))
	write(t, path, text.String())
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
}

// open opens what has the format, and returns the one picture and the warnings.
func open(t *testing.T, format, path string, o Options) (*Set, *coco.LabeledImage, []string) {
	t.Helper()
	found, err := Recognize(path)
	require.NoError(t, err)
	require.Equal(t, format, found)
	var said []string
	o.Warn = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if o.Skip == nil {
		o.Skip = func(err error) { said = append(said, err.Error()) }
	}
	set, err := Open(path, o)
	require.NoError(t, err)
	require.Equal(t, format, set.Format)
	require.Len(t, set.Data.Images, 1)
	at, err := set.Data.Images[0].Find(set.Folder)
	require.NoError(t, err, "its picture is found")
	require.Equal(t, "a.png", filepath.Base(at))
	for p, err := range set.Data.LabeledImages() {
		require.NoError(t, err)
		return set, p, said
	}
	return nil, nil, nil
}

func sameMasks(t *testing.T, want, got *coco.LabeledImage) {
	t.Helper()
	require.Equal(t, []int{want.Width, want.Height}, []int{got.Width, got.Height})
	require.Len(t, got.Instances, len(want.Instances))
	for i := range want.Instances {
		require.True(t, want.Instances[i].Mask.Bitmap().Equal(got.Instances[i].Mask.Bitmap()), "instance %d", i)
	}
}

func TestYOLO(t *testing.T) {
	want := scene()
	names := []coco.Category{{ID: 1, Name: "cell"}, {ID: 2, Name: `ring: "x"`}}
	var text bytes.Buffer
	loss, err := WriteYOLO(&text, want, func(v *coco.LabeledInstance) int {
		if v.Category == "cell" {
			return 0
		}
		return 1
	})
	require.NoError(t, err)
	require.Equal(t, YOLOLoss{Joined: 2}, loss)
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "images", "val", "a.png"), want.Width, want.Height)
	label := filepath.Join(folder, "labels", "val", "a.txt")
	write(t, label, text.String())
	var yaml bytes.Buffer
	require.NoError(t, WriteYOLOConfig(&yaml, names))
	write(t, filepath.Join(folder, "data.yaml"), yaml.String())
	for _, path := range []string{folder, filepath.Join(folder, "data.yaml"), filepath.Join(folder, "labels"), label} {
		set, got, said := open(t, "yolo", path, Options{})
		require.Empty(t, said)
		sameMasks(t, want, got)
		require.Equal(t, "cell", set.Data.Categories[0].Name)
		require.Equal(t, `ring: "x"`, got.Instances[1].Category)
	}

	// Names as a list, paths of Windows, splits.
	write(t, filepath.Join(folder, "data.yaml"), "train: [images\\train]\nval: images\\val\nnames: [cell, ring]\n")
	grey(t, filepath.Join(folder, "images", "train", "b.png"), 10, 10)
	set, got, _ := open(t, "yolo", filepath.Join(folder, "data.yaml"), Options{Split: "val"})
	require.Equal(t, "ring", got.Instances[1].Category)
	require.Equal(t, "images/val/a.png", set.Data.Images[0].FileName)
	all, err := Open(filepath.Join(folder, "data.yaml"), Options{})
	require.NoError(t, err)
	require.Len(t, all.Data.Images, 2, "a picture without labels has no objects")
	_, err = Open(filepath.Join(folder, "data.yaml"), Options{Split: "test"})
	require.ErrorContains(t, err, "it has no test")

	// The pictures may be elsewhere than data.yaml says.
	elsewhere := t.TempDir()
	require.NoError(t, os.Rename(filepath.Join(folder, "images", "val", "a.png"), filepath.Join(elsewhere, "a.png")))
	require.NoError(t, os.RemoveAll(filepath.Join(folder, "images")))
	_, got, _ = open(t, "yolo", folder, Options{Images: elsewhere})
	require.Equal(t, "ring", got.Instances[1].Category)

	// Without names, beside the picture; boxes, scores, and lines that are wrong.
	other := t.TempDir()
	grey(t, filepath.Join(other, "a.png"), 100, 50)
	write(t, filepath.Join(other, "a.txt"), "\xEF\xBB\xBF3 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5 0.75\n\nnine\n0 0.1\n0 2 2 3 2 3 3\n-1 0 0 1 1 1 0\n")
	_, got, said := open(t, "yolo", other, Options{})
	require.Len(t, said, 4)
	require.Contains(t, said[0], filepath.Join(other, "a.txt")+": line 5: ")
	require.Len(t, got.Instances, 3)
	require.Equal(t, "3", got.Instances[0].Category)
	require.Equal(t, 20*20, got.Instances[0].Mask.Area())
	require.True(t, got.Instances[1].BoxOnly)
	closetest.Slices(t, []float64{40, 15, 20, 20}, got.Instances[1].Box[:], 1e-9)
	require.Equal(t, 0.75, got.Instances[2].Score)
	write(t, filepath.Join(other, "classes.txt"), "a\nb\nc\nd\n")
	_, got, _ = open(t, "yolo", other, Options{})
	require.Equal(t, "d", got.Instances[0].Category)
	_, err = Open(other, Options{})
	require.ErrorContains(t, err, "a.txt: coco: line 5")

	// The picture may lie elsewhere, and must be found.
	require.NoError(t, os.Rename(filepath.Join(other, "a.png"), filepath.Join(folder, "a.png")))
	_, err = Open(other, Options{})
	require.ErrorContains(t, err, "no picture is found for it")
	open(t, "yolo", other, Options{Images: folder})
}

func TestLabels(t *testing.T) {
	want := scene()
	var text bytes.Buffer
	covered, err := WriteLabels(&text, want)
	require.NoError(t, err)
	require.Zero(t, covered)

	beside := t.TempDir()
	grey(t, filepath.Join(beside, "a.png"), want.Width, want.Height)
	write(t, filepath.Join(beside, "a_masks.png"), text.String())
	_, got, said := open(t, "labels", beside, Options{})
	require.Empty(t, said)
	sameMasks(t, want, got)
	require.Equal(t, NoClass, got.Instances[0].Category)
	open(t, "labels", filepath.Join(beside, "a_masks.png"), Options{})

	apart := t.TempDir()
	grey(t, filepath.Join(apart, "images", "a.png"), want.Width, want.Height)
	write(t, filepath.Join(apart, "masks", "a.png"), text.String())
	_, got, _ = open(t, "labels", apart, Options{})
	sameMasks(t, want, got)
	_, got, _ = open(t, "labels", filepath.Join(apart, "masks"), Options{Images: filepath.Join(apart, "images")})
	sameMasks(t, want, got)

	_, err = Recognize(filepath.Join(apart, "images"))
	require.ErrorIs(t, err, errUnknown, "pictures are not label maps")

	// 8 bits, palettes, black and white, colours.
	m := image.NewGray(image.Rect(0, 0, 30, 20))
	p := image.NewPaletted(m.Rect, color.Palette{color.Black, color.White, color.NRGBA{255, 0, 0, 255}})
	for i := range m.Pix[:100] {
		m.Pix[i], p.Pix[i] = uint8(200+i/50), uint8(1+i/50)
	}
	eight := t.TempDir()
	grey(t, filepath.Join(eight, "a.png"), 30, 20)
	for _, m := range []image.Image{m, p} {
		writePNG(t, filepath.Join(eight, "a_label.png"), m)
		_, got, _ = open(t, "labels", eight, Options{})
		require.Len(t, got.Instances, 2)
		require.Equal(t, 50, got.Instances[1].Mask.Area())
	}
	for i := range m.Pix {
		m.Pix[i] = uint8(255 * (i % 30 / 20))
	}
	writePNG(t, filepath.Join(eight, "a_label.png"), m)
	_, got, said = open(t, "labels", eight, Options{})
	require.Len(t, got.Instances, 1)
	require.Contains(t, said[0], "black and white only")
	colours := image.NewNRGBA(m.Rect)
	colours.SetNRGBA(3, 3, color.NRGBA{9, 0, 0, 255})
	colours.SetNRGBA(4, 3, color.NRGBA{9, 1, 0, 255})
	writePNG(t, filepath.Join(eight, "a_label.png"), colours)
	_, got, said = open(t, "labels", eight, Options{})
	require.Len(t, got.Instances, 2)
	require.Contains(t, said[0], "1 label maps are in colours: each colour but black is read as one object")
	for i := range colours.Pix {
		colours.Pix[i] = uint8(i * i)
	}
	writePNG(t, filepath.Join(eight, "a_label.png"), colours)
	_, err = Open(eight, Options{})
	require.ErrorContains(t, err, "a_label.png: a picture in colours, not a label map")
}

// A label map may have more objects than 16 bits count, but not one for every few pixels.
func TestManyLabels(t *testing.T) {
	r := &raster{width: 1200, height: 1000, values: make([]uint32, 1200*1000)}
	for i := range r.values {
		if x, y := i%1200, i/1200; x%4 < 2 && y%4 < 2 {
			r.values[i] = uint32(y/4*300+x/4)*7 + 5
		}
	}
	labels, masks, err := r.split()
	require.NoError(t, err)
	require.Len(t, labels, 75000)
	require.Equal(t, uint32(74999*7+5), labels[74999])
	for _, m := range masks[74990:] {
		require.NoError(t, m.Validate())
		require.Equal(t, 4, m.Area())
	}
	for i := range r.values {
		r.values[i] = uint32(i)
	}
	_, _, err = r.split()
	require.ErrorContains(t, err, "more than 75000 labels on 1200×1000 pixels: this is not a label map")
}

func TestDSB(t *testing.T) {
	want := scene()
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "stage1_train", "id", "images", "a.png"), want.Width, want.Height)
	for i, v := range want.Instances {
		writePNG(t, filepath.Join(folder, "stage1_train", "id", "masks", fmt.Sprintf("%c.png", 'b'+i)), v.Mask.Bitmap().Gray())
	}
	for _, path := range []string{folder, filepath.Join(folder, "stage1_train"), filepath.Join(folder, "stage1_train", "id")} {
		_, got, said := open(t, "dsb", path, Options{})
		require.Empty(t, said)
		sameMasks(t, want, got)
	}
	writePNG(t, filepath.Join(folder, "stage1_train", "id", "masks", "a.png"), image.NewGray(image.Rect(0, 0, 3, 3)))
	writePNG(t, filepath.Join(folder, "stage1_train", "id", "masks", "z.png"), image.NewGray(image.Rect(0, 0, want.Width, want.Height)))
	_, got, said := open(t, "dsb", folder, Options{})
	sameMasks(t, want, got)
	require.Len(t, said, 2)
	require.Contains(t, said[0], "mask 0 (a.png): 3×3 pixels, but the picture has 67×41")
	require.Contains(t, said[1], "mask 5 (z.png): it is black everywhere")
}

func TestFilesOfOtherKinds(t *testing.T) {
	folder := t.TempDir()
	_, err := Open(folder, Options{})
	require.ErrorContains(t, err, "its format is not recognised")
	_, err = Open(filepath.Join(folder, "none"), Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(folder, Options{Format: "voc"})
	require.ErrorContains(t, err, `format "voc"`)
	for _, format := range Formats[1:] {
		_, err = Open(folder, Options{Format: format})
		require.Error(t, err, format)
	}
}
