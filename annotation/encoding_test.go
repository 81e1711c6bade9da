package annotation

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const dataset = `{"info": {"description": "INFO"}, "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 50}], "categories": [{"id": 1, "name": "NAME"}],
"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": [[1, 1, 10, 1, 10, 10]]}]}`

const labelMe = `{"shapes": [{"label": "NAME", "points": [[1, 1], [10, 1], [10, 10]], "shape_type": "polygon"}], "imagePath": "a.png", "imageHeight": 50, "imageWidth": 100, "more": "INFO"}`

// Text that is not UTF-8 is decoded where it plainly is Latin-1, with a warning; else it is a problem.
func TestTextOfOtherEncodings(t *testing.T) {
	for name, text := range map[string]string{"coco": dataset, "labelme": labelMe} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			grey(t, filepath.Join(folder, "a.png"), 100, 50)
			file := filepath.Join(folder, "a.json")
			put := func(class, info string) {
				write(t, file, strings.NewReplacer("NAME", class, "INFO", info).Replace(text))
			}
			put("Zellk\xf6rper", "\xa9 Universit\xe4t")
			_, got, said := open(t, name, file, Options{})
			require.Equal(t, "Zellkörper", got.Instances[0].Category)
			require.Len(t, said, 1)
			require.Contains(t, said[0], file+": byte ")
			require.Contains(t, said[0], "is not UTF-8 and was read as Latin-1")

			put("cell", "\xcf\xb8\xb0\xfb\xba\xcb") // nobody uses it
			_, got, said = open(t, name, file, Options{})
			require.Equal(t, "cell", got.Instances[0].Category)
			if name == "coco" { // LabelMe's other fields are not kept
				require.Len(t, said, 1)
				require.Contains(t, said[0], "text is neither UTF-8 nor plainly Latin-1")
			}

			put("\xcf\xb8\xb0\xfb", "x")
			_, err := Open(file, Options{})
			require.ErrorContains(t, err, "a.json: ")
			require.ErrorContains(t, err, "text that is not UTF-8, nor plainly Latin-1: save the file as UTF-8")
		})
	}
}

func TestLegendsOfOtherEncodings(t *testing.T) {
	_, err := labelMap(t.TempDir(), "a.json")
	require.Error(t, err)
	folder := t.TempDir()
	legend := `{"image_id": 1, "image": "a.png", "width": 3, "height": 2, "instances": [{"file": "a_000.png", "category": "NAME", "area": 6}]}`
	grey(t, filepath.Join(folder, "a_000.png"), 3, 2)
	write(t, filepath.Join(folder, "a.json"), strings.Replace(strings.Replace(legend, "NAME", "Zellk\xf6rper", 1), `"area": 6`, `"area": 5`, 1))
	p, err := masks(folder, "a.json")
	require.NoError(t, err)
	require.Equal(t, "Zellkörper", p.Instances[0].Category)
	write(t, filepath.Join(folder, "a.json"), strings.Replace(legend, "NAME", "\xcf\xb8\xb0\xfb", 1))
	_, err = masks(folder, "a.json")
	require.ErrorContains(t, err, "save the file as UTF-8")
}

// A folder stands for the only data set file of COCO in it.
func TestFolderWithADataSet(t *testing.T) {
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "a.png"), 100, 50)
	write(t, filepath.Join(folder, "annotations.json"), dataset)
	write(t, filepath.Join(folder, "package.json"), `{"name": 1}`)
	set, got, said := open(t, "coco", folder, Options{})
	require.Empty(t, said)
	require.Len(t, got.Instances, 1)
	require.Equal(t, folder, set.Folder)
	write(t, filepath.Join(folder, "val.json"), dataset)
	_, err := Open(folder, Options{})
	require.ErrorContains(t, err, "a folder with 2 data set files of COCO (annotations.json, val.json): name one of them")
}
