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
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
)

// inputFormats are the formats that openInstances reads.
var inputFormats = []string{"coco", "results", "labelme", "labelmap", "masks"}

// An instanceInput is a source of pictures with instances.
type instanceInput struct {
	pictures   iter.Seq2[*coco.LabeledImage, error]
	categories []coco.Category // as far as they are known before reading

	// Ids of the data set that --gt names, which override those of the input.
	images map[string]*coco.Image // by file name
	byName map[string]*coco.Category
}

// name gives a picture and its instances the ids of the data set.
func (in *instanceInput) name(p *coco.LabeledImage) {
	if m, ok := in.images[p.FileName]; ok {
		p.ImageID, p.Key = m.ID, m.Key()
	}
	for i := range p.Instances {
		v := &p.Instances[i]
		if c, ok := in.byName[v.Category]; ok {
			v.CategoryID, v.CategoryKey = c.ID, c.Key()
		}
	}
}

// openInstances opens a file or folder in one of inputFormats. An empty format is
// recognised by the content. truth names a data set, or is empty.
func openInstances(input, format, truth string, minScore float64) (*instanceInput, error) {
	var err error
	if format == "" {
		if format, err = formatOf(input); err != nil {
			return nil, fmt.Errorf("%s: %w", input, err)
		}
	}
	in := &instanceInput{images: map[string]*coco.Image{}, byName: map[string]*coco.Category{}}
	var data *coco.Dataset
	if truth != "" {
		if data, err = coco.Load(truth); err != nil {
			return nil, err
		}
		in.categories = data.Categories
		for i := range data.Images {
			in.images[data.Images[i].FileName] = &data.Images[i]
		}
		for i := range data.Categories {
			in.byName[data.Categories[i].Name] = &data.Categories[i]
		}
	}
	switch format {
	case "coco":
		if data, err = coco.Load(input); err != nil {
			return nil, err
		}
		if truth == "" {
			in.categories = data.Categories
		}
		in.pictures = above(data.LabeledImages(), minScore)
	case "results":
		if data == nil {
			return nil, errNeedsTruth(input)
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
		return nil, fmt.Errorf("--from %s: not one of %s", format, strings.Join(inputFormats, ", "))
	}
	return in, nil
}

func errNeedsTruth(input string) error {
	return fmt.Errorf("%s is a results file, which needs its data set: add --gt FILE", input)
}

// above leaves out detections below a score.
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
	f, err := regular.OpenIn(files, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := coco.ReadLabelMe(f, coco.LabelMeReadOptions{})
	if err == nil {
		// The file names its picture as seen from its own folder.
		p.FileName = path.Join(path.Dir(name), strings.ReplaceAll(p.FileName, `\`, "/"))
	}
	return p, err
}

func readLabelMap(files fs.FS, name string) (*coco.LabeledImage, error) {
	legend, err := regular.OpenIn(files, name)
	if err != nil {
		return nil, err
	}
	defer legend.Close()
	picture, err := regular.OpenIn(files, strings.TrimSuffix(name, ".json")+".png")
	if err != nil {
		return nil, err
	}
	defer picture.Close()
	return coco.ReadLabelMap(picture, legend)
}

// formatOf recognises the format of a file or folder by its content.
func formatOf(input string) (string, error) {
	info, err := os.Stat(input)
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeNamedPipe != 0 && regular.Inherited(input) {
		return "", errors.New("the format of a pipe cannot be recognised, since it is read only once: name it with --from")
	}
	if !info.IsDir() {
		return formatOfFile(os.DirFS(filepath.Dir(input)), filepath.Base(input))
	}
	format := ""
	files := os.DirFS(input)
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(name) == ".json" {
			if format, err = formatOfFile(files, name); err == nil {
				return fs.SkipAll
			}
		}
		return err
	})
	if err == nil && format == "" {
		err = errors.New("the folder has no JSON file")
	}
	return format, err
}

func formatOfFile(files fs.FS, name string) (string, error) {
	f, err := regular.OpenIn(files, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d := json.NewDecoder(utf.NewReader(f))
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
	return "", errors.New("its format cannot be recognised: name it with --from")
}
