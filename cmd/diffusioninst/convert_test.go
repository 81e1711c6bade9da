package main

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/mask"
)

// Results go through every form and come back the same.
func TestConvertThereAndBack(t *testing.T) {
	truth, dets := filepath.Join(golden.Dir("cocoeval"), "gt.json"), filepath.Join(golden.Dir("cocoeval"), "dets.json")
	data, err := coco.Load(truth)
	require.NoError(t, err)
	results, err := coco.LoadResults(dets)
	require.NoError(t, err)
	for _, form := range []string{"coco", "labelme", "labelmap", "masks"} {
		t.Run(form, func(t *testing.T) {
			dir, want := t.TempDir(), byImage(t, data, results)
			there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back.json")
			_, err := program(t, "convert", "--gt", truth, "--to", form, dets, there)
			require.NoError(t, err)
			_, err = program(t, "convert", "--gt", truth, "--to", "results", there, back)
			require.NoError(t, err)
			results, err := coco.LoadResults(back)
			require.NoError(t, err)
			got := byImage(t, data, results)
			require.Len(t, got, len(want))
			ignore := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(coco.LabeledImage{}, coco.LabeledInstance{}),
				cmpopts.IgnoreFields(coco.LabeledImage{}, "Record"), cmpopts.IgnoreFields(coco.LabeledInstance{}, "Record")}
			if form == "labelme" { // has no boxes, and no instances without pixels
				ignore = append(ignore, cmpopts.IgnoreFields(coco.LabeledInstance{}, "Box", "HasBox"))
				for _, p := range want {
					p.Instances = withPixels(p.Instances)
				}
			}
			for id, p := range want {
				require.Empty(t, cmp.Diff(p, got[id], ignore))
			}
		})
	}
}

func withPixels(all []coco.LabeledInstance) []coco.LabeledInstance {
	var out []coco.LabeledInstance
	for _, v := range all {
		if v.Mask.Area() > 0 {
			out = append(out, v)
		}
	}
	return out
}

func byImage(t *testing.T, d *coco.Dataset, results []coco.Result) map[int64]*coco.LabeledImage {
	out := map[int64]*coco.LabeledImage{}
	for p, err := range coco.ResultImages(d, results, 0) {
		require.NoError(t, err)
		for i := range p.Instances { // zero runs at the ends may differ
			v := &p.Instances[i]
			v.Mask = v.Mask.Bitmap().RLE()
			v.Box, v.HasBox = v.BBox(), true
		}
		out[p.ImageID] = p
	}
	return out
}

// drawn writes a data set of one picture with one rectangle.
func drawn(t *testing.T) (file, images string) {
	dir := t.TempDir()
	images = filepath.Join(dir, "images")
	require.NoError(t, os.MkdirAll(filepath.Join(images, "sub"), 0o777))
	f, err := os.Create(filepath.Join(images, "sub", "a.png"))
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, image.NewGray(image.Rect(0, 0, 64, 48))))
	require.NoError(t, f.Close())
	b := mask.NewBitmap(64, 48)
	b.Fill(image.Rect(10, 10, 40, 30))
	builder := coco.NewBuilder(nil)
	require.NoError(t, builder.Add(&coco.LabeledImage{FileName: "sub/a.png", Width: 64, Height: 48,
		Instances: []coco.LabeledInstance{{Category: "thing", Mask: b.RLE()}}}))
	require.NoError(t, builder.Add(&coco.LabeledImage{FileName: "sub/empty.png", Width: 64, Height: 48}))
	file = filepath.Join(dir, "data.json")
	require.NoError(t, builder.Dataset.Save(file))
	return file, images
}

func openPNG(t *testing.T, path string) image.Image {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	return m
}

func TestDataShow(t *testing.T) {
	file, images := drawn(t)
	out := filepath.Join(t.TempDir(), "out")
	text, err := program(t, "data", "show", file, "--images", images, "--out", out)
	require.NoError(t, err)
	require.Contains(t, text, "1_a.png")
	m := openPNG(t, filepath.Join(out, "1_a.png"))
	r, g, b, _ := m.At(25, 25).RGBA()
	require.NotZero(t, r+g+b, "the mask is drawn")
	r, g, b, _ = m.At(60, 45).RGBA()
	require.Zero(t, r+g+b, "the rest is as it was")
	_, err = program(t, "data", "show", file, "--images", images, "--out", out, "--ids", "7")
	require.ErrorContains(t, err, "image 7")
}

func TestDataInfo(t *testing.T) {
	file, _ := drawn(t)
	text, err := program(t, "data", "info", file, "--check")
	require.NoError(t, err)
	require.Contains(t, text, "1 without annotations")
	require.Contains(t, text, "thing")
	require.Contains(t, text, "no problems")
	text, err = program(t, "data", "info", file, "--json")
	require.NoError(t, err)
	require.Contains(t, text, `"annotations": 1`)

	d, err := coco.Load(file)
	require.NoError(t, err)
	d.Annotations[0].Segmentation.Width = 63
	require.NoError(t, d.Save(file))
	text, err = program(t, "data", "info", file, "--check")
	require.ErrorContains(t, err, "has 1 problem")
	require.Contains(t, text, "annotation 1 (record 0): segmentation of 63×48 pixels")
}

func TestConvertOverlay(t *testing.T) {
	file, images := drawn(t)
	out := filepath.Join(t.TempDir(), "out")
	_, err := program(t, "convert", "--to", "overlay", file, out)
	require.ErrorContains(t, err, "--images")
	_, err = program(t, "convert", "--to", "overlay", "--images", images, file, out)
	require.ErrorContains(t, err, "empty.png", "a picture is missing")
	require.FileExists(t, filepath.Join(out, "sub", "a.png"))
}

func TestConvertErrors(t *testing.T) {
	file, _ := drawn(t)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown form":   {[]string{"--to", "voc", file, dir}, "--to voc"},
		"unknown source": {[]string{"--from", "voc", "--to", "coco", file, dir}, "--from voc"},
		"no data set":    {[]string{"--from", "results", "--to", "coco", file, dir}, "--gt"},
		"empty folder":   {[]string{"--to", "coco", dir, "-"}, "not recognised"},
		"folder to -":    {[]string{"--to", "masks", file, "-"}, "standard output"},
		"missing":        {[]string{"--to", "coco", filepath.Join(dir, "none"), "-"}, "none"},
	} {
		_, err := program(t, append([]string{"convert"}, c.args...)...)
		require.ErrorContains(t, err, c.want, name)
	}
	text, err := program(t, "convert", "--to", "results", file, "-")
	require.NoError(t, err)
	require.Contains(t, text, `"score":1`)
}

// The page has all it needs in itself, and nothing in a name of a class or a picture leaves its
// element.
func TestConvertToHTML(t *testing.T) {
	file, images := drawn(t)
	set, err := coco.Load(file)
	require.NoError(t, err)
	set.Images, set.Categories[0].Name = set.Images[:1], `</script><b>"thing`
	require.NoError(t, set.Save(file))
	page := filepath.Join(t.TempDir(), "report.html")
	_, err = program(t, "convert", "--to", "html", file, page)
	require.ErrorContains(t, err, "--images")
	_, err = program(t, "convert", "--to", "html", "--images", images, file, page)
	require.NoError(t, err)
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	text := strings.ReplaceAll(string(data), "http://www.w3.org/2000/svg", "")
	require.NotContains(t, text, "http", "nothing comes from a network")
	require.NotContains(t, text, "<b>")
	require.Contains(t, text, "data:image/jpeg;base64,")
	require.Contains(t, text, "<th>--to<td>html")
	require.Equal(t, 2, strings.Count(text, "</script>"), "one picture, and the script")
}

// The pictures of a page wait for its end in a file that has lost its name: nothing is left beside
// the page, and a page for standard output is the same.
func TestReportIsStreamed(t *testing.T) {
	file, images := drawn(t)
	set, err := coco.Load(file)
	require.NoError(t, err)
	set.Images = set.Images[:1]
	require.NoError(t, set.Save(file))
	folder := t.TempDir()
	page := filepath.Join(folder, "report.html")
	_, err = program(t, "convert", "--to", "html", "--images", images, file, page)
	require.NoError(t, err)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	text, err := program(t, "convert", "--to", "html", "--images", images, file, "-")
	require.NoError(t, err)
	require.Equal(t, string(data), text)
}
