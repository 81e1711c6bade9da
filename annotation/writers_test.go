package annotation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
				require.Equal(t, area, got.Instances[i].Mask.Area())
			}
			require.True(t, got.Instances[2].Mask.Bitmap().Get(15, 8))
		})
	}
}

func FuzzFiles(f *testing.F) {
	for _, name := range []string{"u16_seg.npy", "plain.npy", "u16_masks.tif", "u32_masks.tif"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(text, filepath.Ext(name))
	}
	f.Add([]byte("0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n1 0.5 0.5 0.2 0.4\n"), ".txt")
	f.Add([]byte("train: images\nval: [images]\nnames: {0: a, 3: b}\n"), ".yaml")
	f.Add([]byte(`{"shapes": [{"label": "a", "points": [[1, 1], [4, 4]], "shape_type": "rectangle"}], "imagePath": "a.png"}`), ".json")
	f.Fuzz(func(t *testing.T, text []byte, ext string) {
		known := map[string]string{".npy": "a_seg.npy", ".tif": "a_masks.tif", ".png": "a_masks.png", ".txt": "a.txt", ".yaml": "data.yaml", ".json": "a.json"}
		if known[ext] == "" {
			return
		}
		folder := t.TempDir()
		grey(t, filepath.Join(folder, "a.png"), 17, 12)
		require.NoError(t, os.WriteFile(filepath.Join(folder, known[ext]), text, 0o666))
		set, err := Open(folder, Options{Skip: func(error) {}})
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
