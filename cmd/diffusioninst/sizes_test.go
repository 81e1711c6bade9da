package main

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A picture that was made smaller after it was annotated is noticed wherever it is at hand.
func TestPicturesOfAnotherSize(t *testing.T) {
	forms := map[string]func(folder string, i int) error{
		"labels": func(folder string, i int) error {
			m := image.NewGray(image.Rect(0, 0, 40, 30))
			copy(m.Pix[20*40:], []uint8{1, 1, 1, 0, 2, 2, 2})
			return emptyPNG(filepath.Join(folder, fmt.Sprintf("%d_masks.png", i)), m)
		},
		"labelme": func(folder string, i int) error {
			return os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.json", i)), []byte(fmt.Sprintf(
				`{"imagePath": "%d.png", "imageWidth": 40, "imageHeight": 30, "shapes": [{"label": "a", "shape_type": "rectangle", "points": [[1, 1], [9, 9]]}]}`, i)), 0o666)
		},
		"coco": func(folder string, i int) error {
			const image = `{"id": %d, "file_name": "%[1]d.png", "width": 40, "height": 30}`
			text := `{"images": [` + fmt.Sprintf(image, 0)
			for k := 1; k <= i; k++ {
				text += ", " + fmt.Sprintf(image, k)
			}
			return os.WriteFile(filepath.Join(folder, "all.json"), []byte(text+`], "categories": [{"id": 1, "name": "a"}], "annotations": []}`), 0o666)
		},
	}
	for form, write := range forms {
		t.Run(form, func(t *testing.T) {
			folder := t.TempDir()
			for i, size := range []image.Point{{40, 30}, {20, 15}, {30, 40}} {
				require.NoError(t, emptyPNG(filepath.Join(folder, fmt.Sprintf("%d.png", i)), image.NewGray(image.Rectangle{Max: size})))
				require.NoError(t, write(folder, i))
			}
			first, second := filepath.Join(folder, "1.png")+": the picture has 20×15 pixels, by its annotations 40×30", filepath.Join(folder, "2.png")+": the picture has 30×40 pixels, by its annotations 40×30"
			text, err := program(t, "data", "info", "--check", folder)
			require.ErrorContains(t, err, "has 2 problems")
			require.Contains(t, text, first)
			require.Contains(t, text, second)
			_, said, err := runProgram(nil, "convert", "--to", "coco", folder, filepath.Join(t.TempDir(), "out.json"))
			require.NoError(t, err)
			require.Equal(t, "warning: "+first+": the annotations' size is used (and for 1 more picture in like manner)\n", said)

			require.NoError(t, emptyPNG(filepath.Join(folder, "1.png"), image.NewGray(image.Rect(0, 0, 40, 30))))
			require.NoError(t, os.Remove(filepath.Join(folder, "2.png"))) // not at hand
			if form != "labels" {                                         // whose picture is then the label map
				_, said, err = runProgram(nil, "convert", "--to", "coco", folder, filepath.Join(t.TempDir(), "out.json"))
				require.NoError(t, err)
				require.Empty(t, said)
			}
			_, err = program(t, "data", "info", "--check", folder)
			require.NoError(t, err)
		})
	}
}

func emptyPNG(path string, m image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return png.Encode(f, m)
}
