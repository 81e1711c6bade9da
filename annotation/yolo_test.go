package annotation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const square = "0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5"

// A split that is not there is passed over with a warning, unless it is asked for or all are gone.
func TestYOLOWithoutASplit(t *testing.T) {
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "train", "images", "a.png"), 100, 50)
	write(t, filepath.Join(folder, "train", "labels", "a.txt"), "0 "+square+"\n")
	config := filepath.Join(folder, "data.yaml")
	for _, text := range []string{"train: ../train/images\nval: ../valid/images\ntest: ../test/images\n", "train: train/images\nvalidation: gone\ntest: gone.txt\n"} {
		write(t, config, text+"nc: 2\n")
		_, got, said := open(t, "yolo", config, Options{})
		require.Equal(t, "class_0", got.Instances[0].Category)
		require.Len(t, said, 2)
		require.Contains(t, said[0], config+": val: ")
		require.Contains(t, said[1], config+": test: ")
		_, err := Open(config, Options{Split: "val"})
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "val: ")
		_, got, said = open(t, "yolo", config, Options{Split: "train"})
		require.Len(t, got.Instances, 1)
		require.Empty(t, said)
	}
	write(t, config, "train: x\nval: y\nnames: [a]\n")
	_, err := Open(config, Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "train: ")
	_, got, _ := open(t, "yolo", config, Options{Images: filepath.Join(folder, "train", "images")})
	require.Equal(t, "a", got.Instances[0].Category)
	_, err = Open(config, Options{Split: "test"})
	require.ErrorContains(t, err, "it has no test, only train, val")
	write(t, config, "train: train/images\nnames: [a]\nkpt_shape: [17, 3]\n")
	_, err = Open(config, Options{})
	require.ErrorContains(t, err, "pose model (kpt_shape)")
}

// Coordinates beyond the picture are clipped with a warning, coordinates in pixels are refused.
func TestYOLOCoordinates(t *testing.T) {
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "a.png"), 100, 50)
	label := filepath.Join(folder, "a.txt")
	for line, want := range map[string]string{
		"0 0.5 0.1 1.25 0.1 1.25 0.5 0.5 0.5":                     "line 1: it reaches beyond the picture, to 1.25 of its size",
		"0 -0.2 0.1 0.3 0.1 0.3 0.5 -0.2 0.5":                     "line 1: it reaches beyond the picture, to -0.2 of its size",
		"0 0.9 0.5 0.4 0.4":                                       "line 1: it reaches beyond the picture, to 1.1 of its size",
		"0 0.5 0.1 1.004 0.1 1.004 0.5 0.5 0.5":                   "", // less than half a pixel
		"0 nan 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n0 " + square:          `line 1: "nan" is not a number`,
		"0 0.1 0.1 1e9 0.1 0.3 0.5 0.1 0.5\n0 " + square:          `line 1: "1e9" is not a number`,
		"0 10 10 30 10 30 40 10 40\n0 " + square:                  "line 1: the coordinate 10 looks like one in pixels",
		"0 50 25 20 20\n0 " + square:                              "line 1: the coordinate 50 looks like one in pixels",
		"0 1.1 0.1 1.3 0.1 1.3 0.5\n0 " + square:                  "line 1: polygon 0 lies outside the image",
		"0 1.5 0.5 0.2 0.2\n0 " + square:                          "line 1: the box lies outside the picture",
		"0 0.5 0.5 0.1 0.1 0.3 0.3 2 0.4 0.4 2\n0 " + square:      "line 1: the coordinate 2 looks like one in pixels", // a pose
		"one 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n0 " + square + "\n": `line 1: "one" is not the number of a class`,
	} {
		write(t, label, line)
		_, got, said := open(t, "yolo", label, Options{Format: "yolo"})
		require.Len(t, got.Instances, 1, line)
		if want == "" {
			require.Empty(t, said)
			continue
		}
		require.Len(t, said, 1, line)
		require.Contains(t, said[0], label+": "+want)
		if box := got.Instances[0].Box; got.Instances[0].BoxOnly {
			require.LessOrEqual(t, box[0]+box[2], 100.0)
		}
	}
}

func TestYOLONames(t *testing.T) {
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "obj_train_data", "a.png"), 100, 50)
	write(t, filepath.Join(folder, "obj_train_data", "a.txt"), "0 "+square)
	write(t, filepath.Join(folder, "obj.names"), "Gr\xf6\xdfe\r\n")
	write(t, filepath.Join(folder, "README.txt"), "Exported by a tool\n")
	_, got, said := open(t, "yolo", folder, Options{})
	require.Equal(t, "Größe", got.Instances[0].Category)
	require.Len(t, said, 1)
	require.Contains(t, said[0], "README.txt: it is not a label file")
	write(t, filepath.Join(folder, "obj.names"), "\x8d\x96\x96\xe5\n")
	_, err := Open(folder, Options{})
	require.ErrorContains(t, err, "obj.names: byte 0: the text is not UTF-8")
	write(t, filepath.Join(folder, "data.yaml"), "train: obj_train_data\nnames: [caf\xe9]\n")
	_, got, _ = open(t, "yolo", folder, Options{})
	require.Equal(t, "café", got.Instances[0].Category)
}

// A problem that shows up when masks are needed is named by the picture.
func TestYOLOBoxesWhereMasksAreNeeded(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a", "b"} {
		grey(t, filepath.Join(folder, name+".png"), 100, 50)
		write(t, filepath.Join(folder, name+".txt"), "0 "+square+"\n3 0.5 0.5 0.2 0.2\n")
	}
	_, err := Open(folder, Options{Masks: true})
	require.ErrorContains(t, err, folder+": a.png: ")
	require.ErrorContains(t, err, "object 1 (3): no segmentation")
	var said []string
	set, err := Open(folder, Options{Masks: true, Skip: func(err error) { said = append(said, err.Error()) }})
	require.NoError(t, err)
	require.Len(t, set.Data.Annotations, 2)
	require.Equal(t, []string{folder + ": a.png: object 1 (3): no segmentation", folder + ": b.png: object 1 (3): no segmentation"}, said)
	set, err = Open(folder, Options{Boxes: true})
	require.NoError(t, err)
	require.Len(t, set.Data.Annotations, 4)
	_, err = Open(folder, Options{Boxes: true, Masks: true})
	require.ErrorContains(t, err, "Boxes and Masks contradict")
}

// Paths of other machines and folders are found by their last parts.
func TestYOLOPathsOfOtherMachines(t *testing.T) {
	folder := t.TempDir()
	grey(t, filepath.Join(folder, "images", "train", "a.png"), 100, 50)
	write(t, filepath.Join(folder, "labels", "train", "a.txt"), "0 "+square)
	write(t, filepath.Join(folder, "train.txt"), "data/images/train/a.png\n")
	for _, train := range []string{"/content/datasets/x/images/train", "C:\\x\\images\\train", "train.txt", "../train.txt", "../../x/images/train"} {
		write(t, filepath.Join(folder, "data.yaml"), "train: "+train+"\nnames: {\"0\": cell}\n")
		_, got, said := open(t, "yolo", folder, Options{})
		require.Empty(t, said, train)
		require.Equal(t, "cell", got.Instances[0].Category)
	}
	write(t, filepath.Join(folder, "data.yaml"), "train: images/train\nval: ../valid/images\nnames: [cell]\n")
	_, _, said := open(t, "yolo", folder, Options{})
	require.Len(t, said, 1, "images is not valid/images")
	require.NoError(t, os.Truncate(filepath.Join(folder, "images", "train", "a.png"), 9))
	_, err := Open(folder, Options{Skip: func(error) {}})
	require.ErrorContains(t, err, "no annotated picture is found there (read as yolo); the first problem: ")
}

// The labels of a folder images lie in the folder labels beside it, of which the last in a path counts.
func TestYOLOFoldersNamedImages(t *testing.T) {
	labels, pictures := t.TempDir(), t.TempDir()
	for _, at := range []string{"", "images/x", "x/images"} {
		write(t, filepath.Join(labels, "images", at, "labels", "a.txt"), "0 "+square)
		grey(t, filepath.Join(pictures, at, "images", "a.png"), 100, 50)
	}
	names := map[string]bool{}
	set, err := Open(labels, Options{Images: pictures, Format: "yolo"})
	require.NoError(t, err)
	for _, p := range set.Data.Images {
		names[p.FileName] = true
	}
	require.Equal(t, map[string]bool{"images/a.png": true, "images/x/images/a.png": true, "x/images/images/a.png": true}, names)
}
