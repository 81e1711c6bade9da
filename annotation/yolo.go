package annotation

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/mask"
)

// yoloConfig is a data.yaml.
type yoloConfig struct {
	folder string // where its paths start
	splits map[string][]string
	names  []string
}

// readYOLOConfig reads a data.yaml.
func readYOLOConfig(file string) (*yoloConfig, error) {
	text, err := regular.ReadFile(file, 16<<20)
	if err != nil {
		return nil, err
	}
	var in struct {
		Path             string
		Train, Val, Test yaml.Node
		Names            yaml.Node
	}
	if err := yaml.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	c := &yoloConfig{folder: filepath.Dir(file), splits: map[string][]string{}}
	if p := filepath.FromSlash(slashed(in.Path)); p != "" {
		for _, at := range []string{filepath.Join(c.folder, p), p} {
			if isFolder(at) {
				c.folder = at
				break
			}
		}
	}
	for name, node := range map[string]*yaml.Node{"train": &in.Train, "val": &in.Val, "test": &in.Test} {
		var one string
		var several []string
		switch {
		case node.Kind == yaml.ScalarNode && node.Decode(&one) == nil && one != "":
			c.splits[name] = []string{one}
		case node.Kind == yaml.SequenceNode && node.Decode(&several) == nil:
			c.splits[name] = several
		}
	}
	switch in.Names.Kind {
	case yaml.SequenceNode:
		err = in.Names.Decode(&c.names)
	case yaml.MappingNode:
		byNumber := map[int]string{}
		if err = in.Names.Decode(&byNumber); err == nil {
			for i, name := range byNumber {
				if i < 0 || i > 1<<16 {
					return nil, fmt.Errorf("class number %d", i)
				}
				for len(c.names) <= i {
					c.names = append(c.names, strconv.Itoa(len(c.names)))
				}
				c.names[i] = name
			}
		}
	}
	if err == nil && len(c.names) == 0 {
		err = errors.New("it has no names of classes")
	}
	return c, err
}

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
	if !info.IsDir() && filepath.Ext(input) != ".txt" {
		config, err := readYOLOConfig(input)
		if err != nil {
			return nil, nil, err
		}
		pairs, err := config.pairs(o)
		return config, pairs, err
	}
	if info.IsDir() {
		for _, name := range []string{"data.yaml", "dataset.yaml", "data.yml"} {
			if at := filepath.Join(input, name); isFile(at) {
				config, pairs, err := o.yoloFiles(at)
				if err == nil || o.Images == "" || !errors.Is(err, fs.ErrNotExist) {
					return config, pairs, err
				}
				break // the pictures are elsewhere, and it gives the names
			}
		}
	}
	config := &yoloConfig{folder: root(input), names: yoloNames(root(input))}
	names, err := files(input, ".txt")
	if err != nil {
		return nil, nil, err
	}
	var pairs []yoloPair
	for _, name := range names {
		if base := path.Base(name); base == "classes.txt" || base == "train.txt" || base == "val.txt" || base == "test.txt" {
			continue
		}
		label := filepath.Join(config.folder, filepath.FromSlash(name))
		pairs = append(pairs, yoloPair{label, o.yoloPicture(config.folder, name)})
	}
	if len(pairs) == 0 {
		return nil, nil, errors.New("no label files (.txt)")
	}
	return config, pairs, nil
}

// yoloNames looks for a data.yaml or classes.txt in a folder and the two above.
func yoloNames(folder string) []string {
	for range 3 {
		for _, name := range []string{"data.yaml", "dataset.yaml", "data.yml"} {
			if c, err := readYOLOConfig(filepath.Join(folder, name)); err == nil {
				return c.names
			}
		}
		if text, err := regular.ReadFile(filepath.Join(folder, "classes.txt"), 16<<20); err == nil {
			var names []string
			for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
				if line = strings.TrimSpace(line); line != "" {
					names = append(names, line)
				}
			}
			return names
		}
		folder = filepath.Join(folder, "..")
	}
	return nil
}

// yoloPicture returns the picture of a label file in a folder: in the folder of pictures,
// beside it, or under images instead of labels.
func (o *Options) yoloPicture(folder, name string) string {
	stem := strings.TrimSuffix(name, path.Ext(name))
	if o.Images != "" {
		for _, try := range []string{stem, strings.TrimPrefix(stem, "labels/"), path.Base(stem)} {
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

// pairs returns the pictures of the splits of a data.yaml with their label files.
func (c *yoloConfig) pairs(o *Options) ([]yoloPair, error) {
	splits := []string{"train", "val", "test"}
	if o.Split != "" {
		if splits = []string{o.Split}; c.splits[o.Split] == nil {
			return nil, fmt.Errorf("it has no %s", o.Split)
		}
	}
	var pictures []string
	for _, split := range splits {
		for _, entry := range c.splits[split] {
			found, err := c.entry(filepath.FromSlash(slashed(entry)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", split, err)
			}
			pictures = append(pictures, found...)
		}
	}
	slices.Sort(pictures)
	pictures = slices.Compact(pictures)
	if len(pictures) == 0 {
		return nil, errors.New("it leads to no pictures")
	}
	out := make([]yoloPair, len(pictures))
	for i, p := range pictures {
		label := strings.TrimSuffix(filepath.ToSlash(p), filepath.Ext(p)) + ".txt"
		if k := strings.LastIndex(label, "/images/"); k >= 0 {
			label = label[:k] + "/labels/" + label[k+len("/images/"):]
		}
		out[i] = yoloPair{filepath.FromSlash(label), p}
	}
	return out, nil
}

// entry returns the pictures of a split's entry: a folder, or a text file that lists them.
func (c *yoloConfig) entry(entry string) ([]string, error) {
	at := entry
	if !filepath.IsAbs(entry) {
		at = filepath.Join(c.folder, entry)
		// Exports of Roboflow write ../train/images beside the folder train.
		if inside := strings.TrimPrefix(filepath.ToSlash(entry), "../"); !exists(at) && exists(filepath.Join(c.folder, inside)) {
			at = filepath.Join(c.folder, inside)
		}
	}
	if strings.EqualFold(filepath.Ext(at), ".txt") {
		text, err := regular.ReadFile(at, 1<<30)
		if err != nil {
			return nil, err
		}
		var out []string
		for line := range strings.Lines(string(text)) {
			if line = filepath.FromSlash(slashed(strings.TrimSpace(line))); line != "" {
				if !filepath.IsAbs(line) {
					line = filepath.Join(c.folder, line)
				}
				out = append(out, line)
			}
		}
		return out, nil
	}
	names, err := files(at, extensions...)
	if err != nil {
		return nil, err
	}
	for i := range names {
		names[i] = filepath.Join(at, filepath.FromSlash(names[i]))
	}
	return names, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// read reads a label file. Lines that are wrong are problems; the others are read.
func (c *yoloConfig) read(pair yoloPair, base string) (*coco.LabeledImage, error) {
	if pair.picture == "" {
		return nil, fmt.Errorf("no picture is found for it, and its coordinates are parts of the picture's size: %w", fs.ErrNotExist)
	}
	width, height, err := pictureSize(pair.picture)
	if err != nil {
		return nil, err
	}
	p := &coco.LabeledImage{FileName: filepath.ToSlash(pair.picture), Width: width, Height: height}
	if name, err := relative(base, pair.picture); err == nil {
		p.FileName = name
	}
	f, err := regular.Open(pair.label)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil // a picture without objects
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var problems coco.Problems
	lines := bufio.NewScanner(utf.NewReader(f))
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		v, err := c.line(lines.Text(), width, height)
		if err != nil {
			problems = append(problems, coco.Problem{Record: "line", Index: n, Message: err.Error()})
			continue
		}
		p.Instances = append(p.Instances, v)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return p, problems
	}
	return p, nil
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

// yoloNumbers splits a line into the class and the numbers after it.
func yoloNumbers(line string) (class int, numbers []float64, err error) {
	fields := strings.Fields(line)
	if len(fields) < 5 {
		return 0, nil, fmt.Errorf("%d numbers: want a class and a box of 4 or a polygon of 6 or more", len(fields))
	}
	number, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || number != math.Trunc(number) || number < 0 || number > 1<<16 {
		return 0, nil, fmt.Errorf("%.20q is not the number of a class", fields[0])
	}
	numbers = make([]float64, len(fields)-1)
	for i, text := range fields[1:] {
		if numbers[i], err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(numbers[i]) || math.Abs(numbers[i]) > 1e6 {
			return 0, nil, fmt.Errorf("%.20q is not a number", text)
		}
	}
	return int(number), numbers, nil
}

// line reads an instance: a class with a polygon, or with the centre and the size of a box,
// and perhaps a score, in parts of the picture's size.
func (c *yoloConfig) line(line string, width, height int) (v coco.LabeledInstance, err error) {
	class, numbers, err := yoloNumbers(line)
	if err != nil {
		return v, err
	}
	v.CategoryID, v.Category = int64(class+1), strconv.Itoa(class)
	if c.names != nil {
		if class >= len(c.names) {
			return v, fmt.Errorf("class %d of %d", class, len(c.names))
		}
		v.Category = c.names[class]
	}
	if len(numbers)%2 == 1 {
		v.Score, v.HasScore = numbers[len(numbers)-1], true
		numbers = numbers[:len(numbers)-1]
	}
	w, h := float64(width), float64(height)
	if len(numbers) == 4 {
		v.Box = [4]float64{(numbers[0] - numbers[2]/2) * w, (numbers[1] - numbers[3]/2) * h, numbers[2] * w, numbers[3] * h}
		if numbers[2] < 0 || numbers[3] < 0 {
			return v, fmt.Errorf("a box with a negative side")
		}
		v.HasBox, v.BoxOnly = true, true
		v.Mask, err = mask.FromPolygons(nil, width, height)
		return v, err
	}
	for i := range numbers {
		numbers[i] *= []float64{w, h}[i%2]
	}
	v.Mask, err = coco.Segmentation{Polygons: [][]float64{numbers}}.RLE(width, height)
	return v, err
}

// yoloText reports whether a file starts like a label file of YOLO, or is empty.
func yoloText(name string) bool {
	f, err := regular.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(utf.NewReader(f))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return false
	}
	_, _, err = yoloNumbers(lines.Text())
	return err == nil
}
