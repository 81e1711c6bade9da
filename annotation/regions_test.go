package annotation

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// ragged is a picture of random masks with holes, parts and pixels that touch at corners.
func ragged(seed uint64, overlapping bool) *coco.LabeledImage {
	rng := rand.New(rand.NewPCG(seed, 13))
	p := &coco.LabeledImage{ImageID: 5, FileName: "sub/a b.tif", Width: 90, Height: 70}
	for i := range 12 {
		m := mask.NewBitmap(p.Width, p.Height)
		x0, y0 := i%4*22, i/4*22
		for range 200 {
			x, y := x0+rng.IntN(20), y0+rng.IntN(20)
			if overlapping {
				x, y = rng.IntN(p.Width), rng.IntN(p.Height)
			}
			m.Set(x, y, true)
			m.Set(x+1, y, overlapping)
		}
		p.Instances = append(p.Instances, coco.LabeledInstance{
			Category: []string{"cell", "a: b", "ü \"x\""}[i%3], Mask: m.RLE(), Label: uint32(7 * (i + 1)),
		})
		if i%2 == 0 {
			p.Instances[i].Score, p.Instances[i].HasScore = 0.1*float64(i), true
		}
	}
	return p
}

// regionWriters are the writers of forms that hold masks, classes, labels and scores exactly.
var regionWriters = map[string]struct {
	name  string
	write func(w io.Writer, p *coco.LabeledImage) error
}{
	"imagej":  {"a b_rois.zip", WriteImageJ},
	"geojson": {"a b.geojson", func(w io.Writer, p *coco.LabeledImage) error { return WriteGeoJSON(w, p, Measure(p, 0.5, nil)) }},
}

func TestRegionsRoundTrip(t *testing.T) {
	for format, f := range regionWriters {
		for seed := range uint64(6) {
			want := ragged(seed, seed%2 == 0)
			var text, again bytes.Buffer
			require.NoError(t, f.write(&text, want))
			require.NoError(t, f.write(&again, want))
			require.Equal(t, text.Bytes(), again.Bytes(), "the same each time")
			folder := t.TempDir()
			write(t, filepath.Join(folder, f.name), text.String())
			for _, path := range []string{folder, filepath.Join(folder, f.name)} {
				recognised, err := Recognize(path)
				require.NoError(t, err)
				require.Equal(t, format, recognised)
			}
			_, pictures, err := Each(folder, Options{})
			require.NoError(t, err)
			n := 0
			for got, err := range pictures {
				require.NoError(t, err)
				require.Equal(t, want.FileName, got.FileName)
				require.Equal(t, want.ImageID, got.ImageID)
				require.Len(t, got.Instances, len(want.Instances))
				for i := range want.Instances {
					require.Equal(t, want.Instances[i], got.Instances[i], format)
				}
				n++
			}
			require.Equal(t, 1, n)
		}
	}
}

// What ImageJ fills for the regions that it wrote itself is what is read: see testdata/imagej.
func TestImageJReadsAsImageJDoes(t *testing.T) {
	var said []string
	set, err := Open("testdata/imagej/rois.zip", Options{Skip: func(err error) { said = append(said, err.Error()) }})
	require.NoError(t, err)
	require.Len(t, said, 1)
	require.Contains(t, said[0], "line")
	require.Contains(t, said[0], errNoArea.Error())
	require.True(t, set.Classless)
	filled, err := labelImage("testdata/imagej/rois.png")
	require.NoError(t, err)
	_, pictures, err := Each("testdata/imagej/rois.zip", Options{Skip: func(error) {}})
	require.NoError(t, err)
	for p, err := range pictures {
		require.NoError(t, err)
		require.Len(t, p.Instances, 7)
		for i := range p.Instances {
			require.Equal(t, filled.Instances[i].Label, p.Instances[i].Label)
			require.Equal(t, filled.Instances[i].Mask, p.Instances[i].Mask, "region %d", i+1)
		}
	}
	_, err = Open("testdata/imagej/rois.zip", Options{})
	require.ErrorContains(t, err, "has no area")
}

// GeoJSON as other programs and older versions of QuPath write it.
func TestGeoJSONOfOthers(t *testing.T) {
	square := `{"type": "Polygon", "coordinates": [[[2, 3], [12, 3], [12, 8], [2, 8], [2, 3]], [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]]}`
	feature := `{"type": "Feature", "id": "PathAnnotationObject", "geometry": ` + square + `, "properties": {"object_type": "annotation", "isLocked": false,
		"classification": {"name": "Tumor", "colorRGB": -3670016}, "measurements": [{"name": "Area", "value": 46.0}, {"name": "Score", "value": 0.75}, {"name": "x", "value": "NaN"}]}}`
	for name, text := range map[string]string{
		"collection": `{"features": [` + feature + `], "type": "FeatureCollection"}`,
		"list":       `[` + feature + `]`,
		"single":     feature,
		"mark":       "\ufeff" + feature,
	} {
		folder := t.TempDir()
		grey(t, filepath.Join(folder, "a.png"), 30, 20)
		write(t, filepath.Join(folder, "a.geojson"), text)
		set, err := Open(folder, Options{})
		require.NoError(t, err, name)
		require.Equal(t, "geojson", set.Format)
		require.False(t, set.Classless)
		for p, err := range set.Data.LabeledImages() {
			require.NoError(t, err)
			require.Equal(t, "a.png", p.FileName)
			require.Len(t, p.Instances, 1)
			require.Equal(t, "Tumor", p.Instances[0].Category)
			require.Equal(t, 0.75, p.Instances[0].Score)
			require.Equal(t, 46, p.Instances[0].Mask.Area())
		}
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "b.geojson")

	// A cell of QuPath 0.5 with a derived class, and objects on two slices, which is a warning.
	cell := `{"type": "Feature", "id": "0c6b", "geometry": ` + square[:len(square)-1] + `, "plane": {"c": -1, "z": 0, "t": 0}}, "nucleusGeometry": ` + square + `,
		"properties": {"objectType": "cell", "classification": {"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "measurements": {"Nucleus: Area": 3, "Score": 0.5}}}`
	above := strings.Replace(cell, `"z": 0`, `"z": 3`, 1)
	for warnings, text := range []string{cell + "," + cell, cell + "," + above} {
		other := t.TempDir()
		grey(t, filepath.Join(other, "a.png"), 30, 20)
		write(t, filepath.Join(other, "a.geojson"), `[`+text+`]`)
		var said []string
		set, err := Open(other, Options{Warn: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
		require.NoError(t, err)
		require.Len(t, set.Data.Annotations, 2)
		require.Equal(t, "Tumor: Positive", set.Data.Categories[0].Name)
		require.Len(t, said, warnings)
	}
	write(t, file, `[`+feature+`]`)
	_, err := Open(folder, Options{})
	require.ErrorContains(t, err, "--images")

	// What is wrong is a problem of the single feature.
	grey(t, filepath.Join(folder, "b.png"), 30, 20)
	wrong := []string{
		`{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}`, `{"geometry": null}`, `3`, `null`,
		strings.ReplaceAll(feature, "[2, 3]", "[2]"), strings.ReplaceAll(feature, "[2, 3]", "[2e99, 3]"),
		`{"geometry": {"type": "MultiPolygon", "coordinates": []}}`,
		`{"geometry": {"type": "Polygon", "coordinates": [[[500, 500], [510, 500], [510, 510]]]}}`,
	}
	two := `{"geometry": {"type": "GeometryCollection", "geometries": [` + square + `, ` + strings.ReplaceAll(square, "12", "14") + `]}, "properties": {"name": "17", "classification": "x"}}`
	write(t, file, `{"type": "FeatureCollection", "features": [`+strings.Join(wrong, ",")+`,`+two+`]}`)
	var said []string
	_, pictures, err := Each(folder, Options{Skip: func(err error) { said = append(said, err.Error()) }})
	require.NoError(t, err)
	for p, err := range pictures {
		require.NoError(t, err)
		require.Len(t, p.Instances, 1)
		require.Equal(t, uint32(17), p.Instances[0].Label)
		require.Equal(t, "x", p.Instances[0].Category)
	}
	require.Len(t, said, len(wrong), "%v", said)
	for _, broken := range []string{``, `{`, `{"features": 3}`, `{"features": [`, `[] []`, `{"a": 1}`, `7`} {
		write(t, file, broken)
		_, err = Open(file, Options{})
		require.Error(t, err, broken)
	}
}

// A list of single regions in a folder is of the picture of that name.
func TestSingleROIs(t *testing.T) {
	want := ragged(1, false)
	folder, i := t.TempDir(), 0
	grey(t, filepath.Join(folder, "a.png"), want.Width, want.Height)
	for k, v := range want.Instances[:3] {
		r := roi{name: "x", rings: ringsOf(v.Mask.Bitmap())}
		write(t, filepath.Join(folder, "a", fmt.Sprintf("%d.roi", k+1)), string(r.encode()))
	}
	_, pictures, err := Each(folder, Options{Format: "imagej"})
	require.NoError(t, err)
	for p, err := range pictures {
		require.NoError(t, err)
		require.Equal(t, "a.png", p.FileName)
		require.Len(t, p.Instances, 3)
		for k := range p.Instances {
			require.Equal(t, want.Instances[k].Mask, p.Instances[k].Mask)
			require.Equal(t, uint32(k+1), p.Instances[k].Label)
		}
		i++
	}
	require.Equal(t, 1, i)
}

// Coordinates beyond 16 bits go into composites, whose numbers are floats.
func TestROIOfALargePicture(t *testing.T) {
	m := mask.NewBitmap(70000, 40)
	m.Set(65700, 3, true)
	m.Set(65701, 3, true)
	r, err := decodeROI((&roi{name: "1", rings: ringsOf(m)}).encode())
	require.NoError(t, err)
	back, err := mask.FromRings(r.rings, m.Width, m.Height)
	require.NoError(t, err)
	require.Equal(t, m.RLE(), back)
}

// Labels beyond 16 bits take 32; forms with a number per pixel are read back with their labels.
func TestLabelFiles(t *testing.T) {
	for _, large := range []bool{false, true} {
		want := ragged(3, false)
		if large {
			want.Instances[4].Label = 1 << 20
		}
		folder := t.TempDir()
		for name, write := range map[string]func(w io.Writer) (int, error){
			"x_labels.tif": func(w io.Writer) (int, error) { return WriteLabelTIFF(w, want, 0.25) },
			"y_seg.npy":    func(w io.Writer) (int, error) { return WriteCellpose(w, want) },
		} {
			f, err := os.Create(filepath.Join(folder, name))
			require.NoError(t, err)
			covered, err := write(f)
			require.NoError(t, err)
			require.Zero(t, covered)
			require.NoError(t, f.Close())
		}
		for _, format := range []string{"labeltiff", "cellpose"} {
			_, pictures, err := Each(folder, Options{Format: format})
			require.NoError(t, err)
			n := 0
			for got, err := range pictures {
				require.NoError(t, err)
				require.Len(t, got.Instances, len(want.Instances))
				masks := map[uint32]mask.RLE{}
				for _, v := range got.Instances {
					masks[v.Label] = v.Mask
				}
				for _, v := range want.Instances {
					require.Equal(t, v.Mask, masks[v.Label])
				}
				n++
			}
			require.Equal(t, 1, n, format)
		}
	}
	covered, err := WriteLabelTIFF(io.Discard, ragged(2, true), 0)
	require.NoError(t, err)
	require.Positive(t, covered)
}

// More than 65535 objects have labels of 32 bits.
func TestManyLabelsInTIFF(t *testing.T) {
	p := &coco.LabeledImage{FileName: "a.png", Width: 1200, Height: 960}
	for i := range 70000 {
		m := mask.NewBitmapIn(p.Width, p.Height, mask.BoxXYWH([4]float64{float64(i % 300 * 4), float64(i / 300 * 4), 1, 1}).Outer())
		m.Set(i%300*4, i/300*4, true)
		p.Instances = append(p.Instances, coco.LabeledInstance{Category: NoClass, Mask: m.RLE()})
	}
	path := filepath.Join(t.TempDir(), "a_labels.tif")
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = WriteLabelTIFF(f, p, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	got, err := labelImage(path)
	require.NoError(t, err)
	require.Len(t, got.Instances, 70000)
	for i := range p.Instances {
		if uint32(i+1) != got.Instances[i].Label || len(p.Instances[i].Mask.Counts) != len(got.Instances[i].Mask.Counts) {
			t.Fatal(i)
		}
	}
	_, err = WriteLabels(io.Discard, p)
	require.ErrorContains(t, err, "too small for 70000")
}

// labelImage reads a label map.
func labelImage(path string) (*coco.LabeledImage, error) {
	r, err := readRaster(path)
	if err != nil {
		return nil, err
	}
	return labelled(r)
}
