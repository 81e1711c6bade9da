package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/coco"
)

// instanceInput is a source of pictures with instances.
type instanceInput struct {
	pictures   iter.Seq2[*coco.LabeledImage, error]
	categories []coco.Category // known beforehand

	imageIDs    map[string]int64 // by file name, of the data set given beside the input
	categoryIDs map[string]int64 // by name
}

// name gives a picture of a format without ids those of the data set.
func (in *instanceInput) name(p *coco.LabeledImage) {
	if id, ok := in.imageIDs[p.FileName]; ok && p.ImageID == 0 {
		p.ImageID = id
	}
	for i := range p.Instances {
		if v := &p.Instances[i]; v.CategoryID == 0 {
			v.CategoryID = in.categoryIDs[v.Category]
		}
	}
}

// openInstances opens a file or folder in one of the forms that convert reads; an
// empty form is told by the content. truth names a data set, or is empty.
func openInstances(input, form, truth string, minScore float64) (*instanceInput, error) {
	var err error
	if form == "" {
		if form, err = formOf(input); err != nil {
			return nil, fmt.Errorf("%s: %w", input, err)
		}
	}
	in := &instanceInput{imageIDs: map[string]int64{}, categoryIDs: map[string]int64{}}
	var data *coco.Dataset
	if truth != "" {
		if data, err = coco.Load(truth); err != nil {
			return nil, err
		}
		in.categories = data.Categories
		for _, m := range data.Images {
			in.imageIDs[m.FileName] = m.ID
		}
		for _, c := range data.Categories {
			in.categoryIDs[c.Name] = c.ID
		}
	}
	switch form {
	case "coco":
		if data, err = coco.Load(input); err != nil {
			return nil, err
		}
		in.categories, in.pictures = data.Categories, above(data.LabeledImages(), minScore)
	case "results":
		if data == nil {
			return nil, fmt.Errorf("%s is a results file: name its data set with --gt", input)
		}
		results, err := coco.LoadResults(input)
		if err != nil {
			return nil, err
		}
		in.pictures = coco.ResultImages(data, results, minScore)
	case "labelme":
		in.pictures = above(eachJSON(input, readLabelMe), minScore)
	case "labelmap":
		in.pictures = above(eachJSON(input, readLabelMap), minScore)
	case "masks":
		in.pictures = above(eachJSON(input, coco.ReadMasks), minScore)
	default:
		return nil, fmt.Errorf("--from %s: not coco, results, labelme, labelmap or masks", form)
	}
	return in, nil
}

// above drops detections below a score.
func above(pictures iter.Seq2[*coco.LabeledImage, error], minScore float64) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		for p, err := range pictures {
			if err == nil {
				kept := p.Instances[:0]
				for _, v := range p.Instances {
					if !v.HasScore || v.Score >= minScore {
						kept = append(kept, v)
					}
				}
				p.Instances = kept
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// eachJSON reads the pictures of a folder, or of one file, by its JSON files in the
// order of their names.
func eachJSON(input string, read func(fs.FS, string) (*coco.LabeledImage, error)) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folder, only := input, ""
		if info, err := os.Stat(input); err != nil {
			yield(nil, err)
			return
		} else if !info.IsDir() {
			folder, only = filepath.Dir(input), filepath.Base(input)
		}
		files := os.DirFS(folder)
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ".json" || only != "" && name != only {
				if err == nil && only != "" && d.IsDir() && name != "." {
					return fs.SkipDir
				}
				return err
			}
			p, err := read(files, name)
			if err != nil {
				return fmt.Errorf("%s: %w", path.Join(folder, name), err)
			}
			if !yield(p, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

func readLabelMe(files fs.FS, name string) (*coco.LabeledImage, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := coco.ReadLabelMe(f)
	if err == nil {
		// The file names its picture as seen from its own folder.
		p.FileName = path.Join(path.Dir(name), strings.ReplaceAll(p.FileName, `\`, "/"))
	}
	return p, err
}

func readLabelMap(files fs.FS, name string) (*coco.LabeledImage, error) {
	legend, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer legend.Close()
	picture, err := files.Open(strings.TrimSuffix(name, ".json") + ".png")
	if err != nil {
		return nil, err
	}
	defer picture.Close()
	return coco.ReadLabelMap(picture, legend)
}

// formOf tells the form of a file or folder by its content.
func formOf(input string) (string, error) {
	info, err := os.Stat(input)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return formOfFile(os.DirFS(filepath.Dir(input)), filepath.Base(input))
	}
	form := ""
	files := os.DirFS(input)
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(name) == ".json" {
			if form, err = formOfFile(files, name); err == nil {
				return fs.SkipAll
			}
		}
		return err
	})
	if err == nil && form == "" {
		err = errors.New("no JSON file in the folder")
	}
	return form, err
}

func formOfFile(files fs.FS, name string) (string, error) {
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d := json.NewDecoder(f)
	token, err := d.Token()
	if err != nil {
		return "", err
	}
	if token == json.Delim('[') {
		return "results", nil
	}
	for depth := 1; depth > 0; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		case "shapes":
			return "labelme", nil
		case "annotations", "images":
			return "coco", nil
		case "label":
			return "labelmap", nil
		case "file":
			return "masks", nil
		}
	}
	return "", fmt.Errorf("cannot tell its form: use --from")
}
