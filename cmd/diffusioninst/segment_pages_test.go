//go:build cgo

package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// field writes a field of 30 nuclei in the forms in which microscopes write it, and returns the
// folder and the true objects.
func field(t *testing.T) (string, []simulate.Object) {
	t.Helper()
	const side = 200
	dir := t.TempDir()
	img, truth := simulate.Nuclei(simulate.Options{Width: side, Height: side, Count: 30, Radius: 10.7, Seed: 4})
	require.Len(t, truth, 30)
	grey := make([]uint8, side*side)
	for i := range grey {
		grey[i] = img.Pix[4*i]
	}
	for name, file := range tifftest.Microscope(grey, side, side) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), file, 0o666))
	}
	twelve := image.NewGray16(image.Rect(0, 0, side, side))
	for i, v := range grey {
		twelve.Pix[2*i], twelve.Pix[2*i+1] = v>>4, v<<4
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, twelve))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "12_in_16.png"), b.Bytes(), 0o666))
	return dir, truth
}

// The microscope table: whatever the form of the file, the program finds at least 29 of 30
// nuclei. With --norm none a dim picture is a warning.
func TestSegmentMicroscopeFormats(t *testing.T) {
	dir, truth := field(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	args := func(more ...string) []string {
		return append([]string{"segment", "--weights", "builtin:nuclei", "--scales", "1", "--device", "cpu", "--format", "coco", "--output", at("out")}, more...)
	}
	found := func(more ...string) (counts map[string]int, stderr string) {
		_, stderr, err := runProgram(nil, args(more...)...)
		require.NoError(t, err, stderr)
		set, err := coco.Load(at("out/coco.json"))
		require.NoError(t, err)
		counts = map[string]int{}
		for i := range set.Images {
			m := &set.Images[i]
			for _, object := range truth {
				for _, a := range set.Annotations {
					r, err := a.Segmentation.RLE(m.Width, m.Height)
					require.NoError(t, err)
					iou, err := object.Mask.IoU(r.Bitmap())
					require.NoError(t, err)
					if a.ImageID == m.ID && iou >= 0.5 {
						counts[m.FileName]++
						break
					}
				}
			}
		}
		return counts, stderr
	}
	names := []string{
		"8bit.tif", "16bit_full.tif", "12_in_16.tif", "dim.tif", "blue.tif", "float32.tif", "planar.tif", "bigtiff.tif", "big_endian.tif", "zstd.tif",
	}
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = at(name)
	}
	counts, stderr := found(paths...)
	require.NotContains(t, stderr, "warning")
	require.Equal(t, "note: blue.tif: only blue is ever above 0, so it is seen as grey (--norm none keeps the colour)\n", stderr)
	one, _ := found("--page", "2", at("page2of3.tif"))
	counts["page2of3.tif"] = one["page2of3.tif"]
	one, _ = found(at("12_in_16.png"))
	counts["12_in_16.png"] = one["12_in_16.png"]
	for _, name := range append(names, "page2of3.tif", "12_in_16.png") {
		t.Logf("%s: %d of 30", name, counts[name])
		require.GreaterOrEqual(t, counts[name], 29, name)
	}
	_, stderr = found("--norm", "none", at("dim.tif"))
	require.Contains(t, stderr, "warning: dim.tif: its samples are")
	require.Contains(t, stderr, "(--norm 1,99.8)")
}

func TestSegmentPages(t *testing.T) {
	dir, _ := field(t)
	stack := filepath.Join(dir, "page2of3.tif")
	_, stderr, err := segment(nil, "--output", filepath.Join(dir, "out"), stack)
	require.Error(t, err)
	require.Contains(t, stderr, "choose one with --page N, or the greatest value of all with --z max; or take each with --page all")
	stdout, _, err := segment(nil, "--output", filepath.Join(dir, "out"), "--format", "masks", "--page", "all", stack)
	require.NoError(t, err)
	for _, name := range []string{"page2of3_page1.tif", "page2of3_page2.tif", "page2of3_page3.tif"} {
		require.Contains(t, stdout, name)
	}
	// The pages are pictures of their own to --resume.
	stdout, _, err = segment(nil, "--output", filepath.Join(dir, "out"), "--format", "masks", "--page", "all", "--resume", stack)
	require.NoError(t, err)
	require.Contains(t, stdout, "page2of3_page3.tif  200×200")
	require.Contains(t, stdout, "earlier")
	_, _, err = segment(nil, "--output", filepath.Join(dir, "two"), "--page", "2", stack)
	require.NoError(t, err)
	_, _, err = segment(nil, "--output", filepath.Join(dir, "two"), "--z", "max", "--channel", "1", stack)
	require.NoError(t, err)
	for _, bad := range [][]string{{"--page", "0"}, {"--page", "x"}, {"--z", "min"}, {"--page", "1", "--z", "1"}, {"--time", "0"}, {"--scene", "-1"}, {"--channel", "1,2,3,4"}, {"--norm", "bright"}} {
		_, _, err = segment(nil, append(bad, "--output", filepath.Join(dir, "two"), stack)...)
		require.ErrorContains(t, err, bad[0][2:])
	}
}

// A stack of channels, slices and times: each axis has its flag, and what is left can be taken
// as a whole, from a file and from standard input.
func TestSegmentStacks(t *testing.T) {
	dir := t.TempDir()
	var pages []tifftest.Page
	for i := range 8 {
		pages = append(pages, tifftest.Page{Width: 16, Height: 16, Photometric: 1, Planes: [][]byte{bytes.Repeat([]byte{byte(i)}, 256)}})
	}
	pages[0].Description = `<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="2" SizeZ="2" SizeT="2"><Channel Name="DAPI"/><Channel Name="GFP"/><TiffData/></Pixels></Image></OME>`
	stack := filepath.Join(dir, "stack.tif")
	file := tifftest.Encode(binary.LittleEndian, false, pages...)
	require.NoError(t, os.WriteFile(stack, file, 0o666))
	out := filepath.Join(dir, "out")
	_, stderr, err := segment(nil, "--output", out, "--channel", "DAPI", "--z", "max", stack)
	require.Error(t, err)
	require.Contains(t, stderr, "2 channels (DAPI, GFP), 2 slices, 2 times: choose a time with --time N; or take each with --page all")
	_, stderr, err = segment(nil, "--output", out, "--channel", "DAPI", "--z", "max", "--time", "2", stack)
	require.NoError(t, err, stderr)
	require.NotContains(t, stderr, "note")
	for _, test := range []struct {
		flags []string
		names []string
	}{
		{[]string{"--channel", "DAPI", "--z", "max"}, []string{"stack_time1_DAPI.tif", "stack_time2_DAPI.tif"}},
		{[]string{"--channel", "GFP", "--time", "2"}, []string{"stack_page6.tif", "stack_page8.tif"}},
		{[]string{"--channel", "GFP,DAPI", "--z", "1"}, []string{"stack_time1_z1_GFP-DAPI.tif", "stack_time2_z1_GFP-DAPI.tif"}},
		{nil, []string{"stack_page1.tif", "stack_page8.tif"}},
	} {
		stdout, stderr, err := segment(nil, append(test.flags, "--output", out, "--page", "all", "--format", "masks", stack)...)
		require.NoError(t, err, stderr)
		for _, name := range test.names {
			require.Contains(t, stdout, name+"  16×16")
		}
		stdout, stderr, err = segment(file, append(test.flags, "--output", "-", "--page", "all", "-")...)
		require.NoError(t, err, stderr)
		require.GreaterOrEqual(t, strings.Count(stdout, "\n"), len(test.names))
	}
	_, _, err = segment(nil, "--output", out, "--page", "all", "--channel", "DAPI", "--z", "max", stack)
	require.NoError(t, err)
	known := map[string]bool{}
	journal, err := os.Open(filepath.Join(out, segmentJournalName))
	require.NoError(t, err)
	defer journal.Close()
	_, err = readRecords(journal, journal.Name(), func(map[string]string) error { return nil }, func(r *segmentRecord) error {
		known[r.Path] = true
		return nil
	})
	require.NoError(t, err)
	require.Len(t, known, 2, "each time is a picture of its own to --resume")
	stdout, _, err := segment(file, "--output", "-", "--page", "all", "-")
	require.NoError(t, err)
	require.Equal(t, 8, strings.Count(stdout, "\n"))
}

// The flags hold for the pictures of data sets, too.
func TestPictureFlagsOfDataSets(t *testing.T) {
	dir := t.TempDir()
	page := func(v uint16) tifftest.Page {
		var pix []byte
		for i := range 64 * 64 {
			pix = binary.LittleEndian.AppendUint16(pix, v+uint16(i%7))
		}
		return tifftest.Page{Width: 64, Height: 64, Bits: 16, Photometric: 1, Planes: [][]byte{pix}}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.tif"), tifftest.Encode(binary.LittleEndian, false, page(50), page(400)), 0o666))
	data := &coco.Dataset{Categories: coco.COCOClasses(), Images: []coco.Image{{ID: 1, FileName: "a.tif"}}}
	truth := filepath.Join(dir, "truth.json")
	data.Annotations = []coco.Annotation{{ID: 1, ImageID: 1, CategoryID: 1, Area: 1440, HasArea: true, Segmentation: coco.Segmentation{Polygons: [][]float64{{4, 4, 40, 4, 40, 44, 4, 44}}}}}
	require.NoError(t, data.Save(truth))
	train := tinyRun(t, "")
	for name, args := range map[string][]string{
		"test":  append([]string{"test", "--gt", truth}, miniModel()...),
		"sweep": append([]string{"sweep", "--gt", truth, "--steps", "1", "--out", filepath.Join(dir, "sweep")}, miniModel()...),
		"show":  {"data", "show", truth, "--out", filepath.Join(dir, "drawn")},
		"train": {"train", train[1], train[2], "--train", truth, "--val", truth, "--out", filepath.Join(dir, "run"), "--steps", "1", "--device", "cpu"},
	} {
		_, _, err := runProgram(nil, args...)
		require.ErrorContains(t, err, "choose one with --page N", name)
		_, _, err = runProgram(nil, append(args, "--page", "all")...)
		require.ErrorContains(t, err, "--page all", name)
		_, stderr, err := runProgram(nil, append(args, "--page", "2", "--norm", "none")...)
		require.NoError(t, err, name)
		require.Contains(t, stderr, "warning: a.tif: its samples are 400 to 406 of 0 to 65535", name)
		require.Contains(t, stderr, "--norm 1,99.8", name)
	}
}
