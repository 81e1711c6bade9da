//go:build cgo

package main

import (
	"encoding/binary"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// table reads a CSV file as its columns.
func table(t *testing.T, file string) map[string][]string {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	out := map[string][]string{}
	for i, name := range lines[0] {
		out[name] = []string{}
		for _, line := range lines[1:] {
			out[name] = append(out[name], line[i])
		}
	}
	return out
}

// floatStack writes a picture of three channels of float32 beside a data set with its masks. A
// pixel has the given size in µm.
func floatStack(t *testing.T, width, height int, pixel [2]float64) (truth, images string) {
	t.Helper()
	truth = simulatedSet(t, "--count", "1", "--width", strconv.Itoa(width), "--height", strconv.Itoa(height), "--nuclei", "--seed", "3")
	images = t.TempDir()
	le := binary.AppendByteOrder(binary.LittleEndian)
	var pix []byte
	for i := range width * height {
		for _, v := range []float32{float32(i), -1.5, float32(i%width) / 4} {
			pix = le.AppendUint32(pix, math.Float32bits(v))
		}
	}
	text := `<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="float" SizeX="W" SizeY="H" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="PX" PhysicalSizeY="PY"><Channel ID="Channel:0" Name="DAPI" SamplesPerPixel="3"/><TiffData/></Pixels></Image></OME>`
	text = strings.NewReplacer("W", strconv.Itoa(width), "\"H\"", strconv.Quote(strconv.Itoa(height)), "PX", strconv.FormatFloat(pixel[0], 'g', -1, 64), "PY", strconv.FormatFloat(pixel[1], 'g', -1, 64)).Replace(text)
	data := tifftest.Encode(le, false, tifftest.Page{Width: width, Height: height, Samples: 3, Bits: 32, Format: 3, Photometric: 1, Planes: [][]byte{pix}, Description: text})
	set := loadSet(t, truth)
	set.Images[0].FileName = "a.tif"
	require.NoError(t, set.Save(truth))
	require.NoError(t, os.WriteFile(filepath.Join(images, "a.tif"), data, 0o666))
	return truth, images
}

func TestConvertToMeasurements(t *testing.T) {
	truth, images := floatStack(t, 120, 90, [2]float64{.25, .25})
	set := loadSet(t, truth)
	convert := func(args ...string) (string, string, error) {
		out := filepath.Join(t.TempDir(), "out")
		_, stderr, err := runProgram(nil, append([]string{"convert", "--to", "measurements", truth, out}, args...)...)
		return out, stderr, err
	}
	out, stderr, err := convert("--images", images)
	require.NoError(t, err)
	require.Empty(t, stderr)
	got := table(t, filepath.Join(out, "a.csv"))
	require.Len(t, got["label"], len(set.Annotations))
	var index []*coco.LabeledImage
	for p, err := range set.LabeledImages() {
		require.NoError(t, err)
		index = append(index, p)
	}
	for i, v := range index[0].Instances {
		sum, n, m := 0., 0., v.Mask.Bitmap()
		for y := range 90 {
			for x := range 120 {
				if m.Get(x, y) {
					sum, n = sum+float64(y*120+x), n+1
				}
			}
		}
		require.Equal(t, strconv.FormatFloat(sum, 'g', -1, 64), got["sum_1"][i])
		require.Equal(t, "-1.5", got["mean_2"][i])
		require.Equal(t, strconv.FormatFloat(n/16, 'g', -1, 64), got["area_um2"][i], "the file's own pixel size")
	}
	require.Equal(t, []string{"0.25"}, table(t, filepath.Join(out, summaryName))["pixel_size_um"])

	out, _, err = convert()
	require.NoError(t, err)
	got = table(t, filepath.Join(out, "a.csv"))
	require.Contains(t, got, "area_px")
	require.NotContains(t, got, "sum_1", "without --images there are no intensities")

	for size, um := range map[string]string{"0.5um": "0.5", "500nm": "0.5", "0.0005 mm": "0.5", "2µm": "2"} {
		out, _, err = convert("--pixel-size", size, "--images", images)
		require.NoError(t, err)
		require.Equal(t, []string{um}, table(t, filepath.Join(out, summaryName))["pixel_size_um"], size)
	}
	for _, size := range []string{"0.5", "um", "-1um", "0um", "NaNum", "Infum", "0.5px", "1e300cm"} {
		_, _, err = convert("--pixel-size", size)
		require.ErrorContains(t, err, "such as 0.5um", size)
	}
}

func TestOblongPixels(t *testing.T) {
	truth, images := floatStack(t, 60, 50, [2]float64{.25, .5})
	out := filepath.Join(t.TempDir(), "out")
	_, stderr, err := runProgram(nil, "convert", "--to", "measurements", "--images", images, truth, out)
	require.NoError(t, err)
	require.Contains(t, stderr, "not square")
	require.Contains(t, table(t, filepath.Join(out, "a.csv")), "area_px")
}

func TestInstancesLeftOut(t *testing.T) {
	truth := simulatedSet(t, "--count", "1", "--nuclei", "--seed", "5")
	all, fewer := filepath.Join(t.TempDir(), "all"), filepath.Join(t.TempDir(), "fewer")
	_, err := program(t, "convert", "--to", "measurements", truth, all)
	require.NoError(t, err)
	_, stderr, err := runProgram(nil, "convert", "--to", "measurements", "--drop-edge", "--min-area", "150", truth, fewer)
	require.NoError(t, err)
	was, is := table(t, filepath.Join(all, "0001.csv")), table(t, filepath.Join(fewer, "0001.csv"))
	kept := 0
	for i, area := range was["area_px"] {
		n, err := strconv.Atoi(area)
		require.NoError(t, err)
		if n >= 150 && was["touches_edge"][i] == "false" {
			require.Equal(t, was["centroid_x_px"][i], is["centroid_x_px"][kept])
			kept++
		}
	}
	require.Len(t, is["label"], kept)
	require.Less(t, kept, len(was["label"]))
	require.Contains(t, stderr, "(--drop-edge)")
}

// What segment measures are the samples of the file, not what the model sees; a stream, too,
// and a run that is resumed.
func TestSegmentMeasuresTheFile(t *testing.T) {
	_, images := floatStack(t, 120, 90, [2]float64{.25, .25})
	path, dir := filepath.Join(images, "a.tif"), t.TempDir()
	second, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(images, "b.tif"), second, 0o666))
	run := func(name string, stdin []byte, args ...string) string {
		out := filepath.Join(dir, name)
		_, stderr, err := segment(stdin, append(args, "--output", out, "--format", "measurements,coco,overlay", "--channel", "1")...)
		require.NoError(t, err, stderr)
		return out
	}
	out := run("both", nil, images)
	for p, err := range loadSet(t, filepath.Join(out, "coco.json")).LabeledImages() {
		require.NoError(t, err)
		got := table(t, filepath.Join(out, "measurements", p.Stem()+".csv"))
		require.NotEmpty(t, got["label"])
		for i, label := range got["label"] {
			n, err := strconv.Atoi(label)
			require.NoError(t, err)
			v := p.Instances[n-1]
			sum, m := 0., v.Mask.Bitmap()
			for y := range 90 {
				for x := range 120 {
					if m.Get(x, y) {
						sum += float64(y*120 + x)
					}
				}
			}
			require.Equal(t, strconv.FormatFloat(sum, 'g', -1, 64), got["sum_1"][i])
			require.Equal(t, "-1.5", got["max_2"][i])
		}
	}
	require.Equal(t, []string{"a.tif", "b.tif"}, table(t, filepath.Join(out, "measurements", summaryName))["picture"])

	stream := table(t, filepath.Join(run("stream", second, "-"), "measurements", "stdin.csv"))
	require.Equal(t, table(t, filepath.Join(out, "measurements", "a.csv"))["mean_1"], stream["mean_1"])

	before := tree(t, filepath.Join(out, "measurements"))
	require.NoError(t, os.Remove(filepath.Join(out, "measurements", summaryName)))
	require.NoError(t, os.Remove(filepath.Join(out, "measurements", "b.csv")))
	run("both", nil, images, "--resume")
	require.Equal(t, before, tree(t, filepath.Join(out, "measurements")))
}

// Labels are the same numbers in every format, and every format that has whole masks gives
// them back.
func TestLabelsAreTheSameEverywhere(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join("..", "..", "mask", "testdata", "measure", "labels.png")
	out := func(name string) string { return filepath.Join(dir, name) }
	masks := func(input string) map[uint32]string {
		_, pictures, err := annotation.Each(input, annotation.Options{})
		require.NoError(t, err, input)
		got := map[uint32]string{}
		for p, err := range pictures {
			require.NoError(t, err)
			for _, v := range p.Instances {
				got[v.Label] = v.Mask.String()
			}
		}
		return got
	}
	for _, format := range []string{"labels", "labelmap", "labeltiff", "cellpose", "imagej", "geojson", "measurements"} {
		_, stderr, err := runProgram(nil, "convert", "--from", "labels", "--min-area", "60", "--to", format, source, out(format))
		require.NoError(t, err, stderr)
	}
	want := masks(out("labelmap"))
	require.NotContains(t, want, uint32(3), "one pixel: labels keep their numbers when others are left out")
	require.Greater(t, len(want), 20)
	for _, format := range []string{"labels", "labeltiff", "cellpose", "imagej", "geojson"} {
		require.Equal(t, want, masks(out(format)), format)
	}
	for _, label := range table(t, filepath.Join(out("measurements"), "labels.csv"))["label"] {
		n, err := strconv.Atoi(label)
		require.NoError(t, err)
		require.Contains(t, want, uint32(n))
	}
}
