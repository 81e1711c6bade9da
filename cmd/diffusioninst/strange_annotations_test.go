package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

// A strangeFile is a data set file of one picture of 160×128 pixels with four squares, whose
// parts a test replaces.
type strangeFile struct {
	image, category, top string   // more fields
	annotations          []string // of each annotation what follows image_id and category_id
	imageID, categoryID  string
	name                 string
	order                binary.AppendByteOrder // of text that is not UTF-8, with units of so many bytes
	unit                 int
	mark                 string
}

// encoded returns text in the file's encoding.
func (f strangeFile) encoded(text string) (out []byte) {
	text = f.mark + text
	for _, c := range text {
		switch f.unit {
		case 2:
			out = f.order.AppendUint16(out, uint16(c))
		case 4:
			out = f.order.AppendUint32(out, uint32(c))
		default:
			return []byte(text)
		}
	}
	return out
}

func squareAt(i int) string {
	x := 10 + 30*i
	return fmt.Sprintf(`"area": 400, "bbox": [%d, 20, 20, 20], "iscrowd": 0, "segmentation": [[%d, 20, %d, 20, %d, 40, %d, 40]]`, x, x, x+20, x+20, x)
}

func (f strangeFile) write(t *testing.T) (file, folder string) {
	t.Helper()
	folder = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "images"), 0o777))
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 160, 128))))
	for _, at := range []string{"0001.png", "images/0001.png"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, filepath.FromSlash(at)), picture.Bytes(), 0o666))
	}
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	for i := len(f.annotations); i < 4; i++ {
		f.annotations = append(f.annotations, squareAt(i))
	}
	imageID, categoryID := or(f.imageID, "1"), or(f.categoryID, "1")
	var records []string
	for i, a := range f.annotations {
		records = append(records, fmt.Sprintf(`{"id": %d, "image_id": %s, "category_id": %s, %s}`, i+1, imageID, categoryID, a))
	}
	text := fmt.Sprintf(`{"images": [{"id": %s, "file_name": %s, %s}], "categories": [{"id": %s, "name": "nucleus"%s}], "annotations": [%s]%s}`,
		imageID, or(f.name, `"0001.png"`), or(f.image, `"width": 160, "height": 128`), categoryID, f.category, strings.Join(records, ",\n"), f.top)
	file = filepath.Join(folder, "data.json")
	require.NoError(t, os.WriteFile(file, f.encoded(text), 0o666))
	return file, folder
}

// shapesOf converts to LabelMe and returns the shapes.
func shapesOf(t *testing.T, args ...string) ([]struct {
	ShapeType string `json:"shape_type"`
}, string, error) {
	t.Helper()
	out := t.TempDir()
	_, words, err := runProgram(nil, append(append([]string{"convert", "--to", "labelme"}, args...), out)...)
	var file struct {
		Shapes []struct {
			ShapeType string `json:"shape_type"`
		}
	}
	if err == nil {
		require.NoError(t, filepath.WalkDir(out, func(at string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				out = at
			}
			return err
		}))
		require.Equal(t, "0001.json", filepath.Base(out))
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &file))
	}
	return file.Shapes, words, err
}

// Every command takes what the tools of others write.
func TestCommandsTakeStrangeFields(t *testing.T) {
	size := `"width": 160, "height": 128`
	for name, f := range map[string]strangeFile{
		"CVAT":             {image: size + `, "license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0`, top: `, "licenses": [{"name": "", "id": 0, "url": ""}]`},
		"license":          {image: size + `, "license": ""`},
		"license id":       {top: `, "licenses": [{"id": "", "name": ""}]`},
		"supercategory":    {category: `, "supercategory": 7`},
		"date":             {image: size + `, "date_captured": {"$date": 5}`},
		"flat polygon":     {annotations: []string{`"area": 400, "bbox": [10, 20, 20, 20], "segmentation": [10, 20, 30, 20, 30, 40, 10, 40]`}},
		"area string":      {annotations: []string{strings.Replace(squareAt(0), "400", `"400"`, 1)}},
		"numeric strings":  {imageID: `"1"`, categoryID: `"1"`},
		"string ids":       {imageID: `"0001"`, categoryID: `"cell"`},
		"Windows":          {name: `"images\\0001.png"`},
		"Windows absolute": {name: `"C:\\data\\0001.png"`},
		"Label Studio":     {name: `"/data/local-files/?d=images/0001.png"`},
		"points":           {annotations: []string{`"area": 400, "bbox": [10, 20, 20, 20], "segmentation": [[[10, 20], [30, 20], [30, 40], [10, 40]]]`}},
		"runs in a list":   {annotations: []string{`"area": 3, "bbox": [0, 0, 1, 3], "segmentation": [{"size": [128, 160], "counts": [0, 3, 20477]}]`}},
		"no crowd":         {annotations: []string{strings.Replace(squareAt(0), `"iscrowd": 0`, `"iscrowd": false, "attributes": {"occluded": false}`, 1)}},
		"strings in masks": {annotations: []string{`"area": "400", "bbox": ["10", "20", "20", "20"], "segmentation": [["10", "20", "30", "20", "30", "40", "10", "40"]]`}},
		"mark":             {mark: "\uFEFF"},
		"UTF-16":           {order: binary.LittleEndian, unit: 2},
		"UTF-16, big":      {order: binary.BigEndian, unit: 2, mark: "\uFEFF"},
		"UTF-32":           {order: binary.LittleEndian, unit: 4, mark: "\uFEFF"},
	} {
		t.Run(name, func(t *testing.T) {
			file, folder := f.write(t)
			text, err := program(t, "data", "info", file)
			require.NoError(t, err)
			require.Contains(t, text, "annotations  4")
			drawn := filepath.Join(folder, "drawn")
			text, err = program(t, "data", "show", file, "--images", folder, "--out", drawn)
			require.NoError(t, err)
			require.Contains(t, text, "4 instances")
			shapes, words, err := shapesOf(t, file)
			require.NoError(t, err)
			require.Len(t, shapes, 4)
			require.Empty(t, words)
			results := filepath.Join(folder, "results.json")
			_, err = program(t, "convert", "--to", "results", file, results)
			require.NoError(t, err)
			text, err = program(t, "eval", "--gt", file, "--dets", results)
			require.NoError(t, err)
			require.Contains(t, text, "100.0")
			again := filepath.Join(folder, "again.json")
			_, err = program(t, "convert", "--to", "coco", file, again)
			require.NoError(t, err)
			for _, at := range []string{again, results} {
				text, err := os.ReadFile(at)
				require.NoError(t, err)
				if f.imageID != "" {
					require.Contains(t, string(text), `"image_id":`+f.imageID)
					require.Contains(t, string(text), `"category_id":`+f.categoryID)
				}
			}
		})
	}
}

// What is wrong is an error that names it, left out with --on-error skip, and listed by
// data info --check.
func TestCommandsLeaveOutOnlyWhatIsWrong(t *testing.T) {
	box := `"bbox": [10, 20, 20, 20], "area": 400`
	for name, c := range map[string]struct {
		strangeFile
		want   string
		shapes int // that remain
	}{
		"two points":     {strangeFile{annotations: []string{box + `, "segmentation": [[1, 1, 5, 5]]`}}, "annotation 1 (record 0): polygon 0: 2 points, fewer than 3", 3},
		"a part":         {strangeFile{annotations: []string{box + `, "segmentation": [[10, 20, 30, 20, 30, 40, 10, 40], [1, 1, 5, 5]]`}}, "annotation 1 (record 0): polygon 1: 2 points", 4},
		"three numbers":  {strangeFile{annotations: []string{strings.Replace(squareAt(0), ", 20, 20, 20]", ", 20, 20]", 1)}}, "annotation 1 (record 0): bbox: byte", 4},
		"broken runs":    {strangeFile{annotations: []string{box + `, "segmentation": {"size": [128, 160], "counts": [5]}`}}, "annotation 1 (record 0): mask: 1 runs cover 5", 3},
		"string mask":    {strangeFile{annotations: []string{box + `, "segmentation": "none"`}}, "annotation 1 (record 0): segmentation: byte", 3},
		"another size":   {strangeFile{annotations: []string{box + `, "segmentation": {"size": [2, 2], "counts": [4]}`}}, "annotation 1 (record 0): segmentation of 2×2 pixels", 3},
		"an annotation?": {strangeFile{top: `, "x": 1`, annotations: []string{squareAt(0), squareAt(1), squareAt(2), squareAt(3) + `}, {"id": 9, "image_id": 5, "category_id": 1`}}, "annotation 9 (record 4): image 5 is not in the data set", 4},
	} {
		t.Run(name, func(t *testing.T) {
			file, folder := c.write(t)
			text, err := program(t, "data", "info", "--check", file)
			require.ErrorContains(t, err, "has ")
			require.Contains(t, text, c.want)

			_, _, err = shapesOf(t, file)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, file)
			require.ErrorContains(t, err, "--on-error skip")
			shapes, words, err := shapesOf(t, file, "--on-error", "skip")
			require.NoError(t, err)
			require.Len(t, shapes, c.shapes)
			require.Equal(t, 1, strings.Count(words, c.want), words)
			require.Contains(t, words, file)

			results := filepath.Join(folder, "results.json")
			_, err = program(t, "convert", "--to", "results", file, results, "--on-error", "skip")
			require.NoError(t, err)
			_, err = program(t, "eval", "--gt", file, "--dets", results)
			require.ErrorContains(t, err, c.want)
			text, words, err = runProgram(nil, "eval", "--gt", file, "--dets", results, "--on-error", "skip")
			require.NoError(t, err)
			require.Contains(t, words, c.want)
			require.Contains(t, text, "100.0")

			_, err = program(t, "data", "show", file, "--images", folder, "--out", filepath.Join(folder, "drawn"))
			require.ErrorContains(t, err, c.want)
			text, err = program(t, "data", "show", file, "--images", folder, "--out", filepath.Join(folder, "drawn"), "--on-error", "skip")
			require.NoError(t, err)
			require.Contains(t, text, fmt.Sprintf("%d instances", c.shapes))
		})
	}
}

func TestBoxesBecomeRectangles(t *testing.T) {
	f := strangeFile{annotations: []string{`"bbox": [10, 20, 20, 20], "area": 7, "segmentation": []`, `"bbox": [40, 20, 20, 20]`}}
	file, folder := f.write(t)
	shapes, words, err := shapesOf(t, file)
	require.NoError(t, err)
	require.Len(t, shapes, 4)
	require.Equal(t, "rectangle", shapes[0].ShapeType)
	require.Contains(t, words, "labelme: 2 annotations have boxes only and are written as rectangles")
	_, words, err = runProgram(nil, "convert", "--to", "labels", file, filepath.Join(folder, "labels"))
	require.NoError(t, err)
	require.Contains(t, words, "labels: 2 annotations have boxes only and were left out")
	again := filepath.Join(folder, "again.json")
	_, words, err = runProgram(nil, "convert", "--to", "coco", file, again)
	require.NoError(t, err)
	require.Equal(t, "warning: coco: 1 annotations have no area that is a number and get that of the mask or box (the first: of 0001.png, id 2)\n", words)
	d, err := coco.Load(again)
	require.NoError(t, err)
	require.True(t, d.Annotations[0].Segmentation.Empty())
	require.Equal(t, [4]float64{10, 20, 20, 20}, d.Annotations[0].BBox)
	results := filepath.Join(folder, "results.json")
	_, err = program(t, "convert", "--to", "results", file, results)
	require.NoError(t, err)
	shapes, words, err = shapesOf(t, "--from", "results", "--gt", file, results)
	require.NoError(t, err)
	require.Len(t, shapes, 4)
	require.Equal(t, "rectangle", shapes[0].ShapeType)
	require.Contains(t, words, "labelme: 2 annotations have boxes only and are written as rectangles")
	text, err := program(t, "eval", "--iou", "bbox", "--gt", file, "--dets", results)
	require.NoError(t, err)
	require.Contains(t, text, "100.0")
	_, err = program(t, "eval", "--gt", file, "--dets", results)
	require.ErrorContains(t, err, "annotation 1 (record 0): no segmentation")
}

func TestAllCrowds(t *testing.T) {
	var f strangeFile
	for i := range 4 {
		f.annotations = append(f.annotations, strings.Replace(squareAt(i), `"iscrowd": 0`, `"iscrowd": 1`, 1))
	}
	file, folder := f.write(t)
	const want = "all 4 annotations are crowds (iscrowd 1, as CVAT writes every mask of its brush) and would be left out"
	text, err := program(t, "data", "info", "--check", file)
	require.ErrorContains(t, err, "has 1 problem")
	require.Contains(t, text, want+": --crowd object takes them as objects")
	text, err = program(t, "data", "info", "--check", "--crowd", "object", file)
	require.NoError(t, err)
	require.Contains(t, text, "no problems")
	results := filepath.Join(folder, "results.json")
	_, err = program(t, "convert", "--to", "results", file, results)
	require.NoError(t, err)
	_, err = program(t, "eval", "--gt", file, "--dets", results)
	require.ErrorContains(t, err, want)
	require.ErrorContains(t, err, "--crowd object")
	text, err = program(t, "eval", "--gt", file, "--dets", results, "--crowd", "object")
	require.NoError(t, err)
	require.Contains(t, text, "100.0")
	_, err = program(t, "eval", "--gt", file, "--dets", results, "--crowd", "maybe")
	require.ErrorContains(t, err, "--crowd maybe: not ignore or object")
}

// What lists the files of a checkpoint is JSON, but not a data set.
func TestInfoOfShards(t *testing.T) {
	file := filepath.Join(t.TempDir(), "model.safetensors.index.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"weight_map": {"a.weight": "model-00001-of-00002.safetensors"}}`), 0o666))
	_, err := program(t, "info", file)
	require.ErrorContains(t, err, "shards): merge them into one")
}

func TestSizeIsTakenFromThePicture(t *testing.T) {
	file, folder := strangeFile{image: `"width": 0, "height": null`}.write(t)
	text, err := program(t, "data", "show", file, "--images", folder, "--out", filepath.Join(folder, "drawn"))
	require.NoError(t, err)
	require.Contains(t, text, "4 instances")
	_, _, err = shapesOf(t, file)
	require.ErrorContains(t, err, "image 1 (record 0): it has no size (width 0, height 0), which its 4 masks need")
	shapes, _, err := shapesOf(t, "--images", folder, file)
	require.NoError(t, err)
	require.Len(t, shapes, 4)
	_, err = program(t, "eval", "--gt", file, "--dets", file)
	require.ErrorContains(t, err, "image 1 (record 0): it has no size")
}

func TestResultsWithStringIDs(t *testing.T) {
	file, folder := strangeFile{}.write(t)
	results := filepath.Join(folder, "results.json")
	require.NoError(t, os.WriteFile(results, []byte(`[{"image_id": "0001", "category_id": 1, "score": 1, "bbox": [10, 20, 20, 20]}]`), 0o666))
	_, err := program(t, "eval", "--iou", "bbox", "--gt", file, "--dets", results)
	require.ErrorContains(t, err, `result 0 (image "0001"): the image is not in the data set`)
	require.ErrorContains(t, err, "the image of the file 0001.png has the id 1")
	_, words, err := runProgram(nil, "eval", "--iou", "bbox", "--gt", file, "--dets", results, "--on-error", "skip")
	require.NoError(t, err)
	require.Contains(t, words, `skipped: `+results+`: result 0 (image "0001")`)
}

func TestConvertLabelMeOneByOne(t *testing.T) {
	_, folder := strangeFile{}.write(t)
	for _, name := range []string{"images", "data.json"} {
		require.NoError(t, os.RemoveAll(filepath.Join(folder, name)))
	}
	polygon := `{"label": "nucleus", "points": [[20, 20], [60, 20], [60, 50], [20, 50]], "shape_type": "polygon"}`
	write := func(shapes, size string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "0001.json"), []byte("\xEF\xBB\xBF"+`{"shapes": [`+shapes+`], "imagePath": "..\\pictures\\0001.png", "imageData": null`+size+`}`), 0o666))
	}
	instances := func(args ...string) (int, string, error) {
		out := filepath.Join(t.TempDir(), "out.json")
		_, words, err := runProgram(nil, append([]string{"convert", "--to", "coco", folder, out}, args...)...)
		if err != nil {
			return 0, words, err
		}
		d, err := coco.Load(out)
		require.NoError(t, err)
		require.Equal(t, "0001.png", d.Images[0].FileName)
		return len(d.Annotations), words, nil
	}
	write(polygon+`, {"label": "nucleus", "points": [[1, 1], [5, 5]], "shape_type": "line"}`, `, "imageHeight": 128, "imageWidth": 160`)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "config.json"), []byte(`{"name": 3}`), 0o666))
	n, words, err := instances()
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Contains(t, words, filepath.Join(folder, "0001.json")+": shape 1 (nucleus): a line has no area: it is left out")
	require.Contains(t, words, "JSON files that are not of LabelMe and were passed over: 1")
	write(polygon+`, {"label": "nucleus", "points": [[1, 1], [5, 5]], "shape_type": "polygon"}`, `, "imageHeight": 128, "imageWidth": 160`)
	_, _, err = instances()
	require.ErrorContains(t, err, "shape 1 (nucleus): mask: polygon 0: 2 points, fewer than 3")
	n, words, err = instances("--on-error", "skip")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Contains(t, words, "shape 1 (nucleus)")
	write(polygon, `, "imageHeight": null`)
	n, _, err = instances()
	require.NoError(t, err)
	require.Equal(t, 1, n)
	text, err := program(t, "data", "info", folder)
	require.NoError(t, err)
	require.Contains(t, text, "images       1")
	require.Contains(t, text, "160–160 × 128–128")
	text, err = program(t, "data", "info", filepath.Join(folder, "0001.json"))
	require.NoError(t, err)
	require.Contains(t, text, "annotations  1")
}
