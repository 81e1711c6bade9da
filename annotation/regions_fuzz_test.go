package annotation

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/allocation"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// fuzzBytes bounds what a target reads: longer inputs say nothing new and are slow.
const fuzzBytes = 2048

// fuzzPicture is small, so that most of the time goes into reading.
func fuzzPicture() *coco.LabeledImage {
	return &coco.LabeledImage{FileName: "a.png", Width: 24, Height: 20}
}

// fewShapes are instances with a hole and parts on fuzzPicture.
func fewShapes() *coco.LabeledImage {
	p := fuzzPicture()
	m := mask.NewBitmap(p.Width, p.Height)
	for y := 2; y < 9; y++ {
		for x := 3; x < 11; x++ {
			m.Set(x, y, x != 6 || y != 5)
		}
	}
	other := mask.NewBitmap(p.Width, p.Height)
	other.Set(20, 3, true)
	other.Set(22, 3, true)
	for _, m := range []*mask.Bitmap{m, other} {
		p.Instances = append(p.Instances, coco.LabeledInstance{Category: "a", Score: .5, HasScore: true, Mask: m.RLE()})
	}
	return p
}

func FuzzROI(f *testing.F) {
	for _, v := range fewShapes().Instances {
		f.Add((&roi{name: "1", rings: ringsOf(v.Mask.Bitmap()), properties: map[string]string{"class": "a"}}).encode())
	}
	require.NoError(f, eachROI("testdata/imagej/rois.zip", func(string) error { return nil }, func(_ string, data []byte) error {
		if len(data) <= fuzzBytes {
			f.Add(data)
		}
		return nil
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > fuzzBytes {
			return
		}
		p := fuzzPicture()
		var err error
		allocation.OfFile(t, len(data), func() { _, err = addROI(p, "1", data) })
		if err == nil {
			require.NoError(t, p.Instances[0].Mask.Validate())
		}
	})
}

// FuzzROIFile reads the ZIP file around regions.
func FuzzROIFile(f *testing.F) {
	var text bytes.Buffer
	require.NoError(f, WriteImageJ(&text, fewShapes()))
	f.Add(text.Bytes())
	text.Reset()
	z := zip.NewWriter(&text)
	for _, name := range []string{"a/../1.roi", "1.ROI", "notes.txt"} {
		w, err := z.Create(name)
		require.NoError(f, err)
		_, err = w.Write((&roi{name: "1", rings: ringsOf(fewShapes().Instances[1].Mask.Bitmap())}).encode())
		require.NoError(f, err)
	}
	require.NoError(f, z.Close())
	f.Add(text.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > fuzzBytes {
			return
		}
		p := fuzzPicture()
		allocation.OfFile(t, len(data), func() {
			_ = regionsInZIP(bytes.NewReader(data), int64(len(data)), func(string) error { return nil }, func(entry string, data []byte) error {
				_, _ = addROI(p, entry, data)
				return nil
			})
		})
		for _, v := range p.Instances {
			require.NoError(t, v.Mask.Validate())
		}
	})
}

func FuzzGeoJSON(f *testing.F) {
	var text bytes.Buffer
	require.NoError(f, WriteGeoJSON(&text, fewShapes(), nil))
	f.Add(text.Bytes())
	f.Add([]byte(`[{"geometry": {"type": "Polygon", "coordinates": [[[1, 1], [9, 1], [9, 9]]]}, "properties": {"measurements": {"Score": 1}}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > fuzzBytes {
			return
		}
		r := geojsonReader{decoder: json.NewDecoder(bytes.NewReader(data)), picture: func() (*coco.LabeledImage, error) { return fuzzPicture(), nil }}
		var err error
		allocation.OfFile(t, len(data), func() { err = r.read() })
		if err == nil {
			for _, v := range r.p.Instances {
				require.NoError(t, v.Mask.Validate())
			}
		}
	})
}

// FuzzLabelTIFF reads label maps of TIFF files; what is read is written and read back the same.
func FuzzLabelTIFF(f *testing.F) {
	for _, large := range []bool{false, true} {
		p := fewShapes()
		if large {
			p.Instances[0].Label = 1 << 20
		}
		var text bytes.Buffer
		_, err := WriteLabelTIFF(&text, p, .5)
		require.NoError(f, err)
		f.Add(text.Bytes())
	}
	for _, name := range []string{"u8", "u16", "u32", "i32", "f32"} {
		data, err := os.ReadFile("testdata/" + name + "_masks.tif")
		require.NoError(f, err)
		f.Add(data)
	}
	read := func(data []byte) (*coco.LabeledImage, error) {
		p, err := picture.Decode(bytes.NewReader(data), picture.Options{MaxPixels: 1 << 12})
		if err != nil {
			return nil, err
		}
		r, err := rasterOf(p.Image)
		if err != nil {
			return nil, err
		}
		return labelled(r)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2*fuzzBytes {
			return
		}
		var p *coco.LabeledImage
		var err error
		allocation.OfFile(t, len(data), func() { p, err = read(data) })
		if err != nil {
			return
		}
		var text bytes.Buffer
		_, err = WriteLabelTIFF(&text, p, 0)
		require.NoError(t, err)
		back, err := read(text.Bytes())
		require.NoError(t, err)
		require.Equal(t, p.Instances, back.Instances)
	})
}
