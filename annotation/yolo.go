package annotation

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/coco"
)

// yolo reads a data.yaml, a folder with one, or label files.
func (o *Options) yolo(input string) ([]string, iter.Seq2[*coco.LabeledImage, error], error) {
	config, labels, err := o.yoloFiles(input)
	if err != nil {
		return nil, nil, fmt.Errorf("annotation: %s: %w", input, err)
	}
	base := o.Images
	if base == "" {
		base = commonFolder(config.folder, labels)
		o.root = base
	}
	pictures := func(yield func(*coco.LabeledImage, error) bool) {
		for _, l := range labels {
			p, err := config.read(l, base)
			if err = o.problem(l.label, err); err != nil {
				yield(nil, err)
				return
			}
			if p != nil && !yield(p, nil) {
				return
			}
		}
	}
	return config.names, pictures, nil
}

// commonFolder returns the folder, or the nearest above it, that all pictures are below.
func commonFolder(folder string, pairs []yoloPair) string {
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	for _, p := range pairs {
		for p.picture != "" {
			name, err := relative(folder, p.picture)
			above := filepath.Dir(folder)
			if err != nil || filepath.IsLocal(filepath.FromSlash(name)) || above == folder {
				break
			}
			folder = above
		}
	}
	return folder
}

// A yoloPair is a label file, which may be missing, with its picture, "" if unknown.
type yoloPair struct{ label, picture string }

// yoloFiles finds the label files and pictures.
func (o *Options) yoloFiles(input string) (*yoloConfig, []yoloPair, error) {
	info, err := os.Stat(input)
	if err != nil {
		return nil, nil, err
	}
	file := input
	if info.IsDir() {
		file = yoloConfigIn(input)
	}
	if file != "" && !strings.EqualFold(filepath.Ext(file), ".txt") {
		config, err := readYOLOConfig(file)
		if err != nil {
			return nil, nil, err
		}
		pairs, err := config.pairs(o)
		if err == nil || o.Images == "" || !errors.Is(err, fs.ErrNotExist) {
			return config, pairs, err
		}
		input = root(input) // the pictures are elsewhere, and it gives the names
	}
	config := &yoloConfig{folder: root(input)}
	if config.names, err = yoloNames(config.folder); err != nil {
		return nil, nil, err
	}
	names, err := files(input, ".txt")
	if err != nil {
		return nil, nil, err
	}
	var pairs []yoloPair
	for _, name := range names {
		if base := path.Base(name); base == "classes.txt" || base == "train.txt" || base == "val.txt" || base == "test.txt" {
			continue
		}
		label, picture := filepath.Join(config.folder, filepath.FromSlash(name)), o.yoloPicture(config.folder, name)
		if picture == "" && len(names) > 1 && !yoloText(label) {
			o.warn("%s: it is not a label file and belongs to no picture: it is passed over", label)
			continue
		}
		pairs = append(pairs, yoloPair{label, picture})
	}
	if len(pairs) == 0 {
		return nil, nil, errors.New("no label files (.txt)")
	}
	return config, pairs, nil
}

// yoloConfigIn returns the data.yaml in a folder, "" if there is none.
func yoloConfigIn(folder string) string {
	for _, name := range []string{"data.yaml", "dataset.yaml", "data.yml"} {
		if at := filepath.Join(folder, name); isFile(at) {
			return at
		}
	}
	return ""
}

// yoloPicture returns the picture of a label file in a folder: in the folder of pictures,
// beside it, or under images instead of labels.
func (o *Options) yoloPicture(folder, name string) string {
	stem := strings.TrimSuffix(name, path.Ext(name))
	if o.Images != "" {
		named := stem
		if at := strings.LastIndex("/"+stem, "/labels/"); at >= 0 {
			named = stem[:at] + "images" + stem[at+len("labels"):]
		}
		for _, try := range []string{stem, strings.TrimPrefix(named, "images/"), named, path.Base(stem)} {
			if at, ok := pictureOf(o.Images, try); ok {
				return filepath.Join(o.Images, filepath.FromSlash(at))
			}
		}
		return ""
	}
	whole, err := filepath.Abs(filepath.Join(folder, filepath.FromSlash(stem)))
	if err != nil {
		return ""
	}
	whole = filepath.ToSlash(whole)
	tries := []string{whole}
	if i := strings.LastIndex(whole, "/labels/"); i >= 0 {
		tries = append(tries, whole[:i]+"/images/"+whole[i+len("/labels/"):])
	}
	for _, try := range tries {
		dir, base := path.Split(try)
		if at, ok := pictureOf(filepath.FromSlash(dir), base); ok {
			return filepath.Join(filepath.FromSlash(dir), at)
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// relative returns a path as seen from a folder, with slashes.
func relative(folder, at string) (string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	if at, err = filepath.Abs(at); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(folder, at)
	return filepath.ToSlash(rel), err
}
