package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
)

// labelled writes a picture's LabelMe file to path and returns what is in it.
func labelled(t testing.TB, path string, labels ...string) Sample {
	t.Helper()
	s := drawn(64, 48)
	s.ID = path
	p := &coco.LabeledImage{FileName: filepath.Base(path[:len(path)-5]) + ".png", Width: 64, Height: 48}
	for i, o := range s.Objects[:len(labels)] {
		p.Instances = append(p.Instances, coco.LabeledInstance{Category: labels[i], Mask: o.Mask.RLE()})
		s.Objects[i].Mask = o.Mask.RLE().Bitmap() // as the file's are stored
	}
	s.Objects = s.Objects[:len(labels)]
	var buf bytes.Buffer
	require.NoError(t, coco.WriteLabelMe(&buf, p, coco.LabelMeOptions{}))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o666))
	img := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for i := range 64 * 48 {
		copy(img.Pix[4*i:], append(s.RGB[3*i:][:3:3], 255))
	}
	writePNG(t, path[:len(path)-5]+".png", img)
	return s
}

func TestLabelMeFolder(t *testing.T) {
	folder := t.TempDir()
	first := labelled(t, filepath.Join(folder, "a.json"), "wheel", "door", "door")
	second := labelled(t, filepath.Join(folder, "sub", "b.json"), "antenna")
	labelled(t, filepath.Join(folder, ".hidden", "c.json"), "ghost")
	third := labelled(t, filepath.Join(folder, "sub", "renamed.json"))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "without.png"), nil, 0o666))

	l, err := OpenLabelMe(folder, nil, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"antenna", "door", "wheel"}, l.Classes())
	first.Objects[0].Class, first.Objects[1].Class, first.Objects[2].Class = 2, 1, 1
	second.Objects[0].Class = 0
	third.Objects = nil
	require.Equal(t, 3, l.Len())
	for i, want := range []Sample{first, second, third} {
		got, err := l.Sample(context.Background(), i)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, want.summary(), l.Summary(i))
	}

	given, err := OpenLabelMe(folder, []string{"door", "wheel"}, nil)
	require.NoError(t, err)
	s, err := given.Sample(context.Background(), 0)
	require.NoError(t, err)
	require.Equal(t, []int{1, 0, 0}, s.summary().Classes)
	_, err = given.Sample(context.Background(), 1)
	require.EqualError(t, err, "data: sample "+second.ID+`: shape 0: its label "antenna" is none of the classes`)
}

// Names of classes tell them apart; those of a data set file are what they are.
func TestNamesThatAreThereTwice(t *testing.T) {
	folder := t.TempDir()
	labelled(t, filepath.Join(folder, "a.json"), "wheel")
	for want, classes := range map[string][]string{`classes 0 and 1 are both called "wheel"`: {"wheel", "wheel"}, "class 1 has no name": {"wheel", ""}} {
		_, err := OpenLabelMe(folder, classes, nil)
		require.ErrorContains(t, err, "data: the given classes: ")
		require.ErrorContains(t, err, want)
	}
	file := filepath.Join(folder, "set.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"images": [{"id": 1, "file_name": "a.png", "width": 9, "height": 9}],
		"categories": [{"id": 5, "name": "wheel"}, {"id": 2, "name": "wheel"}],
		"annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 1, 4, 4], "segmentation": [[1, 1, 5, 1, 5, 5]]}]}`), 0o666))
	var said []string
	c, err := Open(file, annotation.Options{Warn: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
	require.NoError(t, err)
	require.Equal(t, []string{"wheel", "wheel"}, c.Classes())
	require.Equal(t, []string{file + `: coco: classes 0 and 1 are both called "wheel" (its categories in the order of their ids): each is a class of its own to the model`}, said)
}

func TestLabelMeFindsThePictureByName(t *testing.T) {
	folder := t.TempDir()
	want := labelled(t, filepath.Join(folder, "a.json"), "x")
	text, err := os.ReadFile(want.ID)
	require.NoError(t, err)
	for _, name := range []string{`..\\pictures\\old.jpg`, "/etc/passwd", "", "gone.png"} {
		require.NoError(t, os.WriteFile(want.ID, bytes.Replace(text, []byte("a.png"), []byte(name), 1), 0o666))
		l, err := OpenLabelMe(folder, nil, nil)
		require.NoError(t, err)
		got, err := l.Sample(context.Background(), 0)
		require.NoError(t, err, name)
		require.Equal(t, want, got)
	}
}

func TestLabelMeErrors(t *testing.T) {
	folder := t.TempDir()
	_, err := OpenLabelMe(folder, nil, nil)
	require.ErrorContains(t, err, "no LabelMe files")
	_, err = OpenLabelMe(filepath.Join(folder, "none"), nil, nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	broken := filepath.Join(folder, "a.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{"shapes": 3}`), 0o666))
	_, err = OpenLabelMe(folder, nil, nil)
	require.ErrorContains(t, err, broken)

	labelled(t, filepath.Join(folder, "b.json"), "x")
	l, err := OpenLabelMe(folder, nil, nil)
	require.NoError(t, err)
	_, err = l.Sample(context.Background(), 0)
	var e *SampleError
	require.ErrorAs(t, err, &e)
	require.Equal(t, broken, e.ID)
	require.Equal(t, Summary{}, l.Summary(0))

	writePNG(t, filepath.Join(folder, "b.png"), image.NewGray(image.Rect(0, 0, 5, 5)))
	_, err = l.Sample(context.Background(), 1)
	require.ErrorContains(t, err, "b.png has 5×5 pixels, by the file 64×48")
	require.NoError(t, os.Remove(filepath.Join(folder, "b.png")))
	_, err = l.Sample(context.Background(), 1)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "b.json")
}

// What is passed over is a warning.
func TestLabelMeWarns(t *testing.T) {
	folder := t.TempDir()
	want := labelled(t, filepath.Join(folder, "a.json"), "x")
	text, err := os.ReadFile(want.ID)
	require.NoError(t, err)
	line := []byte(`"shapes": [{"label": "y", "points": [[1, 1], [5, 5]], "shape_type": "line"},`)
	text = bytes.Replace(bytes.Replace(text, []byte(`"shapes":[`), line, 1), []byte(`"shapes": [`), line, 1)
	require.NoError(t, os.WriteFile(want.ID, text, 0o666))
	for _, name := range []string{"package.json", "results.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(`{"name": 3}`), 0o666))
	}
	var said []string
	l, err := OpenLabelMe(folder, nil, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	require.NoError(t, err)
	require.Equal(t, 1, l.Len())
	_, err = l.Sample(context.Background(), 0)
	require.NoError(t, err)
	require.Len(t, said, 2)
	require.Contains(t, said[0], "a.json: shape 0 (y): a line has no area: it is left out")
	require.Contains(t, said[1], folder+": 2 JSON files are not of LabelMe and are passed over (the first: "+filepath.Join(folder, "package.json"))
}
