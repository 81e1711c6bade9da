package coco

import (
	"bytes"
	"errors"
	"image"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

// prediction draws overlapping instances: holes, several parts, one under all
// others, one without pixels.
func prediction(t testing.TB) *LabeledImage {
	rng := rand.New(rand.NewPCG(5, 6))
	p := &LabeledImage{ImageID: 42, FileName: "street/a b.jpg", Width: 131, Height: 77}
	names := []string{"person", "person", "dog", "kite \"ü\"", "dog", "person"}
	for i, name := range names {
		b := mask.NewBitmap(p.Width, p.Height)
		for range 1 + rng.IntN(3) {
			x, y := rng.IntN(p.Width), rng.IntN(p.Height)
			b.Fill(image.Rect(x, y, x+5+rng.IntN(60), y+5+rng.IntN(40)))
		}
		for range 20 { // holes and notches
			b.Set(rng.IntN(p.Width), rng.IntN(p.Height), rng.IntN(2) == 0)
		}
		if i == 4 {
			b = mask.NewBitmap(p.Width, p.Height)
		}
		v := LabeledInstance{CategoryID: map[byte]int64{'p': 1, 'd': 18, 'k': 38}[name[0]], Category: name,
			Score: float64(10-i)/10 - .05, HasScore: true, Mask: b.RLE(), HasBox: true}
		v.Box[0], v.Box[1], v.Box[2], v.Box[3] = v.Mask.BBox()
		v.Box[2] += .25 // a box need not be that of the mask
		p.Instances = append(p.Instances, v)
	}
	whole := mask.NewBitmap(p.Width, p.Height)
	whole.Fill(whole.Bounds())
	p.Instances = append(p.Instances, LabeledInstance{CategoryID: 18, Category: "dog", Score: .01, HasScore: true, Mask: whole.RLE()})
	require.NoError(t, p.check())
	return p
}

// Every output of one prediction, read back, has the same pixels.
func TestOutputsDescribeTheSamePixels(t *testing.T) {
	want := prediction(t)
	dir := t.TempDir()
	create := func(name string) (io.WriteCloser, error) { return os.Create(filepath.Join(dir, name)) }

	t.Run("label map", func(t *testing.T) {
		var picture, legend bytes.Buffer
		require.NoError(t, WriteLabelMap(&picture, &legend, want))
		got, err := ReadLabelMap(&picture, &legend)
		require.NoError(t, err)
		for i := range got.Instances {
			require.EqualValues(t, i+1, got.Instances[i].Label)
			got.Instances[i].Label = 0
		}
		require.Empty(t, cmp.Diff(want, got, exported))
	})
	t.Run("mask files", func(t *testing.T) {
		require.NoError(t, WriteMasks(create, want))
		got, err := ReadMasks(os.DirFS(dir), "a b.json")
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got, exported))
	})
	for name, o := range map[string]LabelMeOptions{"LabelMe masks": {}, "LabelMe polygons": {Polygons: true}} {
		t.Run(name, func(t *testing.T) {
			var file bytes.Buffer
			require.NoError(t, WriteLabelMe(&file, want, o))
			got, err := ReadLabelMe(&file, LabelMeReadOptions{})
			require.NoError(t, err)
			n := 0
			for _, w := range want.Instances {
				if w.Mask.Area() == 0 {
					continue
				}
				g := got.Instances[n]
				n++
				require.Equal(t, w.Category, g.Category)
				require.Equal(t, w.Score, g.Score)
				require.Empty(t, cmp.Diff(w.Mask, g.Mask))
			}
			require.Len(t, got.Instances, n)
		})
	}
	for name, polygons := range map[string]bool{"data set of run lengths": false, "data set of polygons": true} {
		t.Run(name, func(t *testing.T) {
			b := NewBuilder(COCOClasses())
			b.Polygons = polygons
			require.NoError(t, b.Add(want))
			var file bytes.Buffer
			require.NoError(t, b.Dataset.Write(&file))
			d, err := Read(&file)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(&b.Dataset, d, exported))
			for got, err := range d.LabeledImages() {
				require.NoError(t, err)
				samePixels(t, want, got)
			}
		})
	}
	t.Run("results", func(t *testing.T) {
		var file bytes.Buffer
		require.NoError(t, WriteResults(&file, want.Results()))
		results, err := ReadResults(&file)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want.Results(), results, exported))
		d := &Dataset{Categories: COCOClasses(), Images: []Image{{ID: 42, Width: want.Width, Height: want.Height, FileName: want.FileName}}}
		for got, err := range ResultImages(d, results, 0) {
			require.NoError(t, err)
			samePixels(t, want, got)
		}
	})
}

func samePixels(t *testing.T, want, got *LabeledImage) {
	require.Len(t, got.Instances, len(want.Instances))
	for i, w := range want.Instances {
		g := got.Instances[i]
		require.Empty(t, cmp.Diff(w.Mask, g.Mask), "instance %d", i)
		require.Equal(t, w.Score, g.Score)
		require.Equal(t, w.CategoryID, g.CategoryID)
		require.Equal(t, w.BBox(), g.BBox())
	}
}

func TestOverlayItems(t *testing.T) {
	p := prediction(t)
	items, err := p.OverlayItems()
	require.NoError(t, err)
	img := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	overlay, err := mask.Overlay(img, items, mask.OverlayOptions{})
	require.NoError(t, err)
	require.NotEqual(t, img.Pix, overlay.Pix)
	p.Width++
	_, err = p.OverlayItems()
	require.Error(t, err, "masks of another size")
}

func TestReadLabelMe(t *testing.T) {
	file := func(shape string) string {
		return `{"version": "4.5.6", "shapes": [` + shape + `], "imagePath": "a.jpg", "imageHeight": 20, "imageWidth": 30, "imageData": null}`
	}
	read := func(s string) (*LabeledImage, error) {
		return ReadLabelMe(bytes.NewReader([]byte(file(s))), LabelMeReadOptions{})
	}

	p, err := read(`{"label": "box", "points": [[2, 3], [12, 8]], "shape_type": "rectangle"}`)
	require.NoError(t, err)
	require.Equal(t, 50, p.Instances[0].Mask.Area())

	p, err = read(`{"label": "disc", "points": [[15, 10], [20, 10]], "shape_type": "circle"}`)
	require.NoError(t, err)
	require.InDelta(t, 78.5, p.Instances[0].Mask.Area(), 6)

	two := `{"label": "a", "group_id": 1, "points": [[1, 1], [4, 1], [4, 4], [1, 4]]}, {"label": "a", "group_id": 1, "points": [[11, 1], [14, 1], [14, 4], [11, 4]], "shape_type": "polygon"}`
	p, err = read(two)
	require.NoError(t, err)
	require.Len(t, p.Instances, 1)
	require.Equal(t, 18, p.Instances[0].Mask.Area())

	for shape, area := range map[string]int{
		`{"label": "a", "points": [[2, 3], [12, 3], [12, 8], [2, 8]], "shape_type": "rectangle"}`:            50,
		`{"label": "a", "points": [[2, 3], [12, 5], [11, 8], [1, 6]], "shape_type": "oriented_rectangle"}`:   32,
		`{"label": "a", "points": [["2", 3], [12, 3.0], [12, 8], [2, 8]], "flags": 3, "group_id": {"a": 1}}`: 50,
	} {
		p, err = read(shape)
		require.NoError(t, err)
		require.Equal(t, area, p.Instances[0].Mask.Area(), shape)
	}
	p, err = read(`{"label": 3, "points": [[2, 3], [12, 8]], "shape_type": "rectangle", "score": "0.5"}`)
	require.NoError(t, err)
	require.Equal(t, "3", p.Instances[0].Category)
	require.Equal(t, 0.5, p.Instances[0].Score)

	// What has no area or is broken is left out alone, and named.
	p, err = read(`{"label": "a", "points": [[1, 1], [4, 1]], "shape_type": "line"}, 5, ` + two + `, {"label": "b", "points": [[1, null]]},
		{"label": "c", "points": [[1, 1]], "shape_type": "point"}, {"label": "c", "points": [[1, 1]], "shape_type": "cuboid"}`)
	var problems Problems
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 5)
	require.ErrorContains(t, err, "shape 0 (a): a line has no area")
	require.ErrorContains(t, err, "shape 5 (c): a point has no area")
	require.ErrorContains(t, err, `shape 6 (c): shapes of type "cuboid" are not known`)
	require.Len(t, p.Instances, 1)

	// A mask is clipped to the picture.
	m := mask.NewBitmap(30, 20)
	m.Fill(image.Rect(0, 15, 5, 20))
	var whole bytes.Buffer
	require.NoError(t, WriteLabelMe(&whole, &LabeledImage{Width: 30, Height: 20, Instances: []LabeledInstance{{Category: "a", Mask: m.RLE()}}}, LabelMeOptions{}))
	shifted := regexp.MustCompile(`"points": \[[^"]*`).ReplaceAllString(whole.String(), `"points": [[-2, 17], [2, 21]], `)
	p, err = ReadLabelMe(strings.NewReader(shifted), LabelMeReadOptions{})
	require.EqualError(t, err, "coco: 1 shapes reach beyond the picture of 30×20 pixels, by up to 2 pixels, and are clipped (the first: shape 0, a)")
	require.Equal(t, 3*3, p.Instances[0].Mask.Area())

	for name, shape := range map[string]string{
		"line":            `{"label": "a", "points": [[1, 1], [4, 1]], "shape_type": "line"}`,
		"two points":      `{"label": "a", "points": [[1, 1], [4, 1]], "shape_type": "polygon"}`,
		"outside":         `{"label": "a", "points": [[40, 1], [44, 1], [44, 5]], "shape_type": "polygon"}`,
		"mask outside":    `{"label": "a", "points": [[1, 1], [34, 1]], "shape_type": "mask", "mask": "AAAA"}`,
		"mask is not PNG": `{"label": "a", "points": [[1, 1], [4, 1]], "shape_type": "mask", "mask": "AAAA"}`,
		"mask not base64": `{"label": "a", "points": [[1, 1], [4, 1]], "shape_type": "mask", "mask": "!"}`,
	} {
		_, err := read(shape)
		require.ErrorContains(t, err, "shape 0 (a)", name)
	}
}

// A file without a size takes it from the picture.
func TestLabelMeWithoutASize(t *testing.T) {
	const text = `{"shapes": [{"label": "a", "points": [[2, 3], [12, 8]], "shape_type": "rectangle"}], "imagePath": "a.png", "imageData": "cG5n", "imageHeight": null, "imageWidth": 0}`
	_, err := ReadLabelMe(strings.NewReader(text), LabelMeReadOptions{})
	require.ErrorContains(t, err, "a.png: size 0×0")
	gone := errors.New("no such picture")
	_, err = ReadLabelMe(strings.NewReader(text), LabelMeReadOptions{Size: func(string, []byte) (int, int, error) { return 0, 0, gone }})
	require.ErrorIs(t, err, gone)
	p, err := ReadLabelMe(strings.NewReader(text), LabelMeReadOptions{Size: func(path string, data []byte) (int, int, error) {
		require.Equal(t, "a.png png", path+" "+string(data))
		return 30, 20, nil
	}})
	require.NoError(t, err)
	require.Equal(t, 50, p.Instances[0].Mask.Area())
	for _, foreign := range []string{`{"images": []}`, `[]`} {
		_, err = ReadLabelMe(strings.NewReader(foreign), LabelMeReadOptions{})
		require.ErrorIs(t, err, ErrNotLabelMe)
	}
	_, err = ReadLabelMe(strings.NewReader(`{"shapes": 3}`), LabelMeReadOptions{})
	require.ErrorContains(t, err, "shapes: byte 11: '3' where a list should be")
}

func TestReadLabelMapRejects(t *testing.T) {
	var picture, legend bytes.Buffer
	require.NoError(t, WriteLabelMap(&picture, &legend, prediction(t)))
	for name, edit := range map[string][2]string{
		"size":          {`"width": 131`, `"width": 130`},
		"area":          {`"area": 10087`, `"area": 10086`},
		"unknown label": {`"label": 7,`, `"label": 77,`},
		"label twice":   {`"label": 7,`, `"label": 2,`},
		"not JSON":      {`{`, `[`},
	} {
		broken := bytes.Replace(legend.Bytes(), []byte(edit[0]), []byte(edit[1]), 1)
		require.NotEqual(t, legend.Bytes(), broken, name)
		_, err := ReadLabelMap(bytes.NewReader(picture.Bytes()), bytes.NewReader(broken))
		require.Error(t, err, name)
	}
}

// The boundary inside a mask's box is that on the whole picture.
func TestBoundaryInItsBox(t *testing.T) {
	for _, v := range prediction(t).Instances {
		for _, width := range []int{1, 2, 3, 7, 200} {
			require.Equal(t, v.Mask.Bitmap().Boundary(width).RLE(), boundary(v.Mask, width))
		}
	}
}

// BenchmarkWriteMasks writes the masks of a picture.
func BenchmarkWriteMasks(b *testing.B) {
	p := prediction(b)
	create := func(string) (io.WriteCloser, error) { return discard{io.Discard}, nil }
	for b.Loop() {
		require.NoError(b, WriteMasks(create, p))
	}
}

type discard struct{ io.Writer }

func (discard) Close() error { return nil }
