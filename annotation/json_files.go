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
	"github.com/diffusioninst/go/internal/regular"
)

// eachJSON reads the pictures of a folder, or of one file, by its JSON files in the order
// of their names. read may return a picture together with problems.
func (o *Options) eachJSON(input string, read func(folder, name string) (*coco.LabeledImage, error)) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folder := root(input)
		names, err := files(input, ".json")
		if err != nil {
			yield(nil, fmt.Errorf("annotation: %w", err))
			return
		}
		foreign := 0
		for _, name := range names {
			p, err := read(folder, name)
			if errors.Is(err, coco.ErrNotLabelMe) && len(names) > 1 {
				foreign++
				continue
			}
			if err = o.problem(path.Join(folder, name), err); err != nil {
				yield(nil, err)
				return
			}
			if p != nil && !yield(p, nil) {
				return
			}
		}
		if foreign > 0 {
			o.warn("%s: JSON files that are not of LabelMe and were passed over: %d", input, foreign)
		}
	}
}

// files returns the files with an extension in a folder and those below, or the one file that input is, as walk finds them.
func files(input string, extensions ...string) ([]string, error) {
	if info, err := os.Stat(input); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return []string{filepath.Base(input)}, nil
	}
	var out []string
	err := walk(input, nil, func(name string) {
		for _, ext := range extensions {
			if strings.EqualFold(path.Ext(name), ext) {
				out = append(out, name)
			}
		}
	})
	return out, err
}

// labelMe reads a LabelMe file, whose picture is named as seen from its own folder.
func (o *Options) labelMe(folder, name string) (*coco.LabeledImage, error) {
	f, err := regular.Open(filepath.Join(folder, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// find returns the picture that the file names, or the one of its own name.
	find := func(named string) (string, bool) {
		images := o.Images
		if images == "" {
			images = folder
		}
		for _, at := range []string{path.Join(path.Dir(name), slashed(named)), slashed(named), path.Base(slashed(named))} {
			if filepath.IsLocal(filepath.FromSlash(at)) && isFile(filepath.Join(images, filepath.FromSlash(at))) {
				return at, true
			}
		}
		stem := strings.TrimSuffix(name, path.Ext(name))
		for _, try := range []string{stem, path.Base(stem)} {
			if at, ok := pictureOf(images, try); ok {
				return at, true
			}
		}
		return "", false
	}
	var noArea func(coco.Problem)
	if o.Warn != nil {
		noArea = func(p coco.Problem) {
			o.warn("%s: %v: it is left out", path.Join(filepath.ToSlash(folder), name), p)
		}
	}
	p, err := coco.ReadLabelMe(f, coco.LabelMeReadOptions{NoArea: noArea, Size: func(named string, data []byte) (int, int, error) {
		if len(data) > 0 {
			if w, h, err := encodedSize(data); err == nil {
				return w, h, nil
			}
		}
		at, ok := find(named)
		if !ok {
			return 0, 0, fmt.Errorf("neither its imageData nor a picture beside it: %w", fs.ErrNotExist)
		}
		images := o.Images
		if images == "" {
			images = folder
		}
		return pictureSize(filepath.Join(images, filepath.FromSlash(at)))
	}})
	if p != nil {
		if at, ok := find(p.FileName); ok {
			p.FileName = at
		} else {
			p.FileName = path.Join(path.Dir(name), slashed(p.FileName))
		}
	}
	return p, err
}

func labelMap(folder, name string) (*coco.LabeledImage, error) {
	at := filepath.Join(folder, filepath.FromSlash(name))
	legend, err := regular.Open(at)
	if err != nil {
		return nil, err
	}
	defer legend.Close()
	labels, err := regular.Open(strings.TrimSuffix(at, filepath.Ext(at)) + ".png")
	if err != nil {
		return nil, err
	}
	defer labels.Close()
	return coco.ReadLabelMap(labels, legend)
}

func masks(folder, name string) (*coco.LabeledImage, error) {
	return coco.ReadMasks(os.DirFS(folder), name)
}
