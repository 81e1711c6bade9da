package annotation

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
	"github.com/diffusioninst/go/picture"
)

// yoloConfig is a data.yaml.
type yoloConfig struct {
	file   string // "" if there is none
	folder string // where its paths start
	splits map[string][]string
	names  []string
}

// readYOLOConfig reads a data.yaml.
func readYOLOConfig(file string) (*yoloConfig, error) {
	text, err := regular.ReadFile(file, 16<<20)
	if err == nil {
		text, err = utf.Text(text)
	}
	if err != nil {
		return nil, err
	}
	var in struct {
		Path             string
		Train, Val, Test yaml.Node
		Valid            yaml.Node // for Val
		Validation       yaml.Node // for Val
		Names            yaml.Node
		NC               int
		Keypoints        yaml.Node `yaml:"kpt_shape"`
	}
	if err := yaml.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	if !in.Keypoints.IsZero() {
		return nil, errors.New("it is of a pose model (kpt_shape): its lines are a box and points, and no outlines")
	}
	c := &yoloConfig{file: file, folder: filepath.Dir(file), splits: map[string][]string{}}
	if p := filepath.FromSlash(slashed(in.Path)); p != "" {
		for _, at := range []string{filepath.Join(c.folder, p), p} {
			if isFolder(at) {
				c.folder = at
				break
			}
		}
	}
	for i, node := range []*yaml.Node{&in.Train, &in.Validation, &in.Valid, &in.Val, &in.Test} {
		name := []string{"train", "val", "val", "val", "test"}[i]
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
		byNumber := map[string]string{} // also in quotes
		if err = in.Names.Decode(&byNumber); err == nil {
			for key, name := range byNumber {
				i, err := strconv.Atoi(key)
				if err != nil || i < 0 || i > 1<<16 {
					return nil, fmt.Errorf("%.40q is not the number of a class", key)
				}
				for len(c.names) <= i {
					c.names = append(c.names, strconv.Itoa(len(c.names)))
				}
				c.names[i] = name
			}
		}
	}
	if len(c.names) == 0 && in.NC > 0 && in.NC <= 1<<16 && len(c.splits) > 0 {
		for i := range in.NC { // as Ultralytics calls them
			c.names = append(c.names, fmt.Sprintf("class_%d", i))
		}
	}
	if err == nil && len(c.names) == 0 {
		err = errors.New("it has no names of classes")
	}
	return c, err
}

// nameFiles list the names of classes, one per line, as LabelImg, CVAT and Roboflow write them.
var nameFiles = []string{"classes.txt", "obj.names", "_darknet.labels"}

// yoloNames looks for a data.yaml or one of nameFiles in a folder and the two above.
func yoloNames(folder string) ([]string, error) {
	for range 3 {
		if at := yoloConfigIn(folder); at != "" {
			if c, err := readYOLOConfig(at); err == nil {
				return c.names, nil
			}
		}
		for _, name := range nameFiles {
			at := filepath.Join(folder, name)
			text, err := regular.ReadFile(at, 16<<20)
			if err != nil {
				continue
			}
			var names []string
			if text, err = utf.Text(text); err != nil {
				return nil, fmt.Errorf("%s: %w", at, err)
			}
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); line != "" {
					names = append(names, line)
				}
			}
			return names, nil
		}
		folder = filepath.Join(folder, "..")
	}
	return nil, nil
}

// pairs returns the pictures of the splits of a data.yaml with their label files. A split that
// is not there is passed over, unless it is the one that is asked for.
func (c *yoloConfig) pairs(o *Options) ([]yoloPair, error) {
	splits := []string{"train", "val", "test"}
	if o.Split != "" {
		if splits = []string{o.Split}; c.splits[o.Split] == nil {
			return nil, fmt.Errorf("it has no %s, only %s", o.Split, strings.Join(slices.Sorted(maps.Keys(c.splits)), ", "))
		}
	}
	var pictures []string
	var missing []error
	for _, split := range splits {
		for _, entry := range c.splits[split] {
			found, err := c.entry(filepath.FromSlash(slashed(entry)))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missing = append(missing, fmt.Errorf("%s: %w", split, err))
			case err != nil:
				return nil, fmt.Errorf("%s: %w", split, err)
			}
			pictures = append(pictures, found...)
		}
	}
	slices.Sort(pictures)
	pictures = slices.Compact(pictures)
	if len(missing) > 0 && (len(pictures) == 0 || o.Split != "") {
		return nil, errors.Join(missing...)
	}
	for _, err := range missing {
		o.warn("%s: %v: it is passed over", c.file, err)
	}
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

// locate returns where an entry's file or folder is. If it is not where the entry says, what
// is before its last two parts or more may be of another machine, or, as ../ of Roboflow and
// data/ of CVAT, of another folder.
func (c *yoloConfig) locate(entry string) string {
	at := entry
	if !filepath.IsAbs(entry) {
		at = filepath.Join(c.folder, entry)
	}
	if exists(at) {
		return at
	}
	parts := strings.Split(strings.TrimPrefix(filepath.ToSlash(entry), "/"), "/")
	for above := true; len(parts) > 1; {
		above = above && parts[0] == ".."
		parts = parts[1:]
		inside := filepath.Join(c.folder, filepath.FromSlash(strings.Join(parts, "/")))
		if (above || len(parts) > 1) && parts[0] != ".." && exists(inside) {
			return inside
		}
	}
	return at
}

// entry returns the pictures of a split's entry: a folder, or a text file that lists them.
func (c *yoloConfig) entry(entry string) ([]string, error) {
	at := c.locate(entry)
	if strings.EqualFold(filepath.Ext(at), ".txt") {
		text, err := regular.ReadFile(at, 1<<30)
		if err == nil {
			text, err = utf.Text(text)
		}
		if err != nil {
			return nil, err
		}
		var out []string
		for line := range strings.Lines(string(text)) {
			if line = filepath.FromSlash(slashed(strings.TrimSpace(line))); line != "" {
				out = append(out, c.locate(line))
			}
		}
		return out, nil
	}
	names, err := files(at, picture.Extensions()...)
	if err != nil {
		return nil, err
	}
	for i := range names {
		names[i] = filepath.Join(at, filepath.FromSlash(names[i]))
	}
	return names, nil
}
