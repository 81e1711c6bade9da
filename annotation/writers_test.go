package annotation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
)

// Label maps of real writers: see testdata/make.py.
func TestFilesOfNumPyAndTifffile(t *testing.T) {
	for _, name := range []string{"u16_seg.npy", "u32_seg.npy", "i32_seg.npy", "plain.npy", "u8_masks.tif", "u16_masks.tif", "u32_masks.tif", "i32_masks.tif", "f32_masks.tif"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			require.NoError(t, err)
			folder, format, as := t.TempDir(), "labels", "a_masks.tif"
			if filepath.Ext(name) == ".npy" {
				format, as = "cellpose", "a_seg.npy"
			}
			write(t, filepath.Join(folder, as), string(text))
			grey(t, filepath.Join(folder, "a.png"), 17, 12)
			_, got, said := open(t, format, folder, Options{})
			require.Empty(t, said)
			require.Len(t, got.Instances, 3)
			for i, area := range []int{24, 15, 36} {
				require.Zero(t, got.Instances[i].CategoryID-got.Instances[0].CategoryID)
				require.Equal(t, area, got.Instances[i].Mask.Area())
			}
			require.True(t, got.Instances[2].Mask.Bitmap().Get(15, 8))
		})
	}
}

func FuzzFiles(f *testing.F) {
	names := []string{"a_seg.npy", "a_masks.tif", "a_masks.png", "a.txt", "data.yaml", "a.json"}
	for i, list := range [][]string{{"u16_seg.npy", "plain.npy"}, {"u16_masks.tif", "u32_masks.tif"}} {
		for _, name := range list {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			require.NoError(f, err)
			f.Add(text, uint8(i))
		}
	}
	f.Add([]byte("0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n1 0.5 0.5 0.2 0.4\n"), uint8(3))
	f.Add([]byte("train: images\nval: [images]\nnames: {0: a, 3: b}\n"), uint8(4))
	f.Add([]byte(`{"shapes": [{"label": "a", "points": [[1, 1], [4, 4]], "shape_type": "rectangle"}], "imagePath": "a.png"}`), uint8(5))
	folder := f.TempDir()
	grey(f, filepath.Join(folder, "a.png"), 17, 12)
	f.Fuzz(func(t *testing.T, text []byte, kind uint8) {
		file := filepath.Join(folder, names[int(kind)%len(names)])
		require.NoError(t, os.WriteFile(file, text, 0o666))
		defer os.Remove(file)
		var set *Set
		var err error
		allocation.OfFile(t, len(text), func() { set, err = Open(folder, Options{Skip: func(error) {}}) })
		if err != nil {
			return
		}
		for p, err := range set.Data.LabeledImages() {
			require.NoError(t, err)
			for i := range p.Instances {
				require.NoError(t, p.Instances[i].Mask.Validate())
			}
		}
	})
}

// The objects of a label map keep their numbers, which are not classes.
func TestLabelsAreKept(t *testing.T) {
	p, err := labelled(&raster{width: 3, height: 2, values: []uint32{0, 7, 7, 70000, 0, 9}})
	require.NoError(t, err)
	for i, want := range []uint32{7, 9, 70000} {
		require.Equal(t, want, p.Instances[i].Label)
		require.Zero(t, p.Instances[i].CategoryID)
	}
}
