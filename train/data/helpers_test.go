package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// ink is the colour of an object; the background is lighter than any.
func ink(object int) [3]uint8 {
	return [3]uint8{uint8(10 + 7*object), uint8(200 - 11*object), uint8(40 + 3*object)}
}

var paper = [3]uint8{250, 251, 252}

// drawn is a picture with objects of a colour each, which do not overlap: an L, a disc, a
// line and a single pixel.
func drawn(w, h int) Sample {
	s := Sample{ID: fmt.Sprintf("%d×%d", w, h), Width: w, Height: h}
	for range w * h {
		s.RGB = append(s.RGB, paper[:]...)
	}
	shapes := []func(x, y int) bool{
		func(x, y int) bool { return x >= 2 && x < w/2-1 && y >= 3 && y < h-2 && (x < 6 || y > h-8) },
		func(x, y int) bool {
			return (x-3*w/4)*(x-3*w/4)+(y-h/3)*(y-h/3) < min(w, h)*min(w, h)/36
		},
		func(x, y int) bool { return y == h-1 && x > w/2 },
		func(x, y int) bool { return x == w/2 && y == h/2 },
	}
	for i, inside := range shapes {
		m := mask.NewBitmap(w, h)
		for y := range h {
			for x := range w {
				if inside(x, y) {
					m.Set(x, y, true)
					c := ink(i)
					copy(s.RGB[3*(y*w+x):], c[:])
				}
			}
		}
		s.Objects = append(s.Objects, Object{Class: i, Box: mask.BoxOf(m.Box()), Mask: m})
	}
	return s
}

func colorAt(s Sample, x, y int) [3]uint8 { return [3]uint8(s.RGB[3*(y*s.Width+x):][:3]) }

// written is a folder with simulated pictures and their data set file.
func written(t testing.TB, sizes ...image.Point) (file, folder string) {
	t.Helper()
	folder = t.TempDir()
	b := coco.NewBuilder([]coco.Category{{ID: 7, Name: "other"}, {ID: 3, Name: "nucleus"}})
	for i, size := range sizes {
		img, objects := simulate.Nuclei(simulate.Options{Width: size.X, Height: size.Y, Seed: uint64(i), Count: size.X * size.Y / 3000})
		name := fmt.Sprintf("%d.png", i)
		writePNG(t, filepath.Join(folder, name), img)
		p := &coco.LabeledImage{FileName: name, Width: size.X, Height: size.Y}
		for _, o := range objects {
			p.Instances = append(p.Instances, coco.LabeledInstance{CategoryID: 3, Mask: o.Mask.RLE()})
		}
		require.NoError(t, b.Add(p))
	}
	file = filepath.Join(folder, "data.json")
	require.NoError(t, b.Dataset.Save(file))
	return file, folder
}

func writePNG(t testing.TB, path string, img image.Image) {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, img))
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o666))
}

// numbered is a Dataset whose sample i is a picture of the colour i.
type numbered struct {
	count  int
	broken map[int]bool
}

func (n numbered) Classes() []string { return []string{"a", "b"} }

func (n numbered) Len() int { return n.count }

func (n numbered) Sample(ctx context.Context, i int) (Sample, error) {
	if n.broken[i] {
		return Sample{}, &SampleError{ID: fmt.Sprint(i), Reason: "broken"}
	}
	img := image.NewRGBA(image.Rect(0, 0, 6+i%3, 7))
	for k := range img.Pix {
		img.Pix[k] = 255
	}
	for y := range 7 {
		img.SetRGBA(1, y, color.RGBA{uint8(i), uint8(y), 0, 255})
	}
	m := mask.NewBitmap(img.Rect.Dx(), 7)
	m.Fill(image.Rect(1, 0, 2, 7))
	s := Sample{ID: fmt.Sprint(i), Width: m.Width, Height: 7, RGB: picture.RGB(img), Objects: []Object{{Class: i % 2, Box: mask.BoxOf(m.Box()), Mask: m}}}
	return s, ctx.Err()
}

func (n numbered) Summary(i int) Summary {
	return Summary{Width: 6 + i%3, Height: 7, Classes: []int{i % 2}}
}

func apply(t *testing.T, a Augmentation, s Sample, seed uint64) Sample {
	t.Helper()
	out, err := a.Apply(s, rand.New(rand.NewPCG(seed, 0)))
	require.NoError(t, err)
	return out
}
