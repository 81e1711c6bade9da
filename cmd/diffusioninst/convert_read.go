package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
)

// inputFormats are the formats that openInstances reads.
var inputFormats = slices.Insert(slices.Clone(annotation.Formats), 1, "results")

// An instanceInput is a source of pictures with instances.
type instanceInput struct {
	pictures   iter.Seq2[*coco.LabeledImage, error]
	categories []coco.Category // as far as they are known before reading

	// Images and categories of the data set that --gt names, whose ids override the
	// input's.
	images  truths
	byName  map[string]*coco.Category
	truth   string   // the data set; empty without one
	strange []string // pictures that are not in it
}

// name gives a picture and its instances the ids of the data set.
func (in *instanceInput) name(p *coco.LabeledImage) {
	if m := in.images.of(slashed(p.FileName)); m != nil {
		p.ImageID, p.Key = m.ImageID, m.Key
	} else if in.truth != "" {
		in.strange = append(in.strange, p.FileName)
	}
	for i := range p.Instances {
		v := &p.Instances[i]
		if c, ok := in.byName[v.Category]; ok {
			v.CategoryID, v.CategoryKey = c.ID, c.Key()
		}
	}
}

// isProblem reports whether an error is about single records.
func isProblem(err error) bool {
	_, is := coco.AsProblems(err)
	return is
}

// openInstances opens a file or folder in one of inputFormats. An empty format is
// recognised by the content. truth names a data set, or is empty.
func openInstances(input, format, truth string, minScore float64, o annotation.Options) (*instanceInput, error) {
	var err error
	if format != "" && !slices.Contains(inputFormats, format) {
		return nil, fmt.Errorf("--from %s: not one of %s", format, strings.Join(inputFormats, ", "))
	}
	if format == "" {
		if format, err = annotation.Recognize(input); err != nil {
			return nil, fmt.Errorf("%s: %w (--from names a format)", input, err)
		}
	}
	in := &instanceInput{images: newTruths(), byName: map[string]*coco.Category{}, truth: truth}
	var data *coco.Dataset
	if truth != "" {
		set, err := annotation.Open(truth, o)
		if err != nil {
			return nil, err
		}
		data = set.Data
		in.categories = data.Categories
		for i := range data.Images {
			m := &data.Images[i]
			in.images.add(&coco.LabeledImage{FileName: m.FileName, ImageID: m.ID, Key: m.Key()})
		}
		for i := range data.Categories {
			in.byName[data.Categories[i].Name] = &data.Categories[i]
		}
	}
	if format == "results" {
		if data == nil {
			return nil, errNeedsTruth(input)
		}
		results, err := loadResults(input, data, coco.CleanOptions{}, o)
		if err != nil {
			return nil, err
		}
		bare := *data
		bare.Annotations = nil // which may take as much memory as the results
		in.pictures = coco.ResultImages(&bare, results, minScore)
		return in, nil
	}
	o.Format = format
	categories, pictures, err := annotation.Each(input, o)
	if err != nil {
		return nil, err
	}
	if truth == "" {
		in.categories = categories
	}
	in.pictures = above(pictures, minScore)
	return in, nil
}

func errNeedsTruth(input string) error {
	return fmt.Errorf("%s is a results file, which needs its data set: add --gt FILE", input)
}

// loadResults reads a results file of a data set. If o.Skip is not nil, it is told of each
// record that is wrong or does not fit, which is left out.
func loadResults(file string, data *coco.Dataset, clean coco.CleanOptions, o annotation.Options) ([]coco.Result, error) {
	results, err := coco.LoadResults(file)
	all, _ := coco.AsProblems(err)
	problems, harmless := all.Split()
	for _, p := range harmless {
		o.Warn("%s: %v", file, p)
	}
	if skip := o.Skip; err != nil && (all == nil || skip == nil && len(problems) > 0) {
		return nil, err
	} else if skip != nil {
		kept, more := data.CleanResults(results, clean)
		for _, p := range append(problems, more...) {
			skip(fmt.Errorf("%s: %w", file, p))
		}
		results = kept
	}
	return results, nil
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
