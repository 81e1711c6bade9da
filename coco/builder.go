package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// A Builder makes a Dataset from labelled images.
type Builder struct {
	// Dataset is what has been built so far.
	Dataset Dataset

	// Polygons writes masks as polygons, exact to the pixel, instead of compressed
	// run lengths. Crowds are always run lengths.
	Polygons bool

	names  map[string]int64
	ids    map[int64]bool
	images map[int64]bool
}

// NewBuilder starts a data set with these categories. Further ones are added as
// instances name them.
func NewBuilder(categories []Category) *Builder {
	b := &Builder{names: map[string]int64{}, ids: map[int64]bool{}, images: map[int64]bool{}}
	b.Dataset = Dataset{Images: []Image{}, Annotations: []Annotation{}, Categories: []Category{}}
	for _, c := range categories {
		b.category(c)
	}
	return b
}

func (b *Builder) category(c Category) {
	b.Dataset.Categories = append(b.Dataset.Categories, c)
	b.ids[c.ID] = true
	if _, ok := b.names[c.Name]; !ok {
		b.names[c.Name] = c.ID
	}
}

// Add adds an image. Its ImageID is kept unless it is 0 or taken: then it gets
// the next free one. An instance without a CategoryID, or with one that the data
// set lacks, belongs to the category of its name. Scores go into the annotations'
// extra fields.
func (b *Builder) Add(p *LabeledImage) error {
	if b == nil {
		return errors.New("coco: the Builder is nil")
	}
	if err := p.check(); err != nil {
		return err
	}
	id := p.ImageID
	if id == 0 || b.images[id] {
		for id = int64(len(b.Dataset.Images) + 1); b.images[id]; id++ {
		}
	}
	if b.images == nil { // a Builder that NewBuilder has not made
		b.names, b.ids, b.images = map[string]int64{}, map[int64]bool{}, map[int64]bool{}
	}
	b.images[id] = true
	m := Image{ID: id, FileName: p.FileName, Width: p.Width, Height: p.Height}
	if p.Key != "" && id == p.ImageID {
		set(&m.Extra, "id", appendString(nil, p.Key))
	}
	b.Dataset.Images = append(b.Dataset.Images, m)
	for i := range p.Instances {
		v := &p.Instances[i]
		a := Annotation{ID: int64(len(b.Dataset.Annotations) + 1), ImageID: id, CategoryID: b.categoryOf(v), Crowd: v.Crowd,
			BBox: v.BBox(), HasBBox: true, Area: float64(v.Mask.Area()), HasArea: true, Segmentation: NewSegmentation(v.Mask)}
		if b.Polygons && !v.Crowd && a.Area > 0 {
			a.Segmentation = Segmentation{Polygons: v.Mask.Bitmap().Polygons(0)}
		}
		if v.BoxOnly {
			a.Segmentation, a.Area = Segmentation{}, v.Box[2]*v.Box[3]
		}
		if v.HasScore {
			text, err := json.Marshal(v.Score)
			if err != nil {
				return fmt.Errorf("coco: %s: instance %d: %w", p.FileName, i, err)
			}
			a.Extra = map[string]json.RawMessage{"score": text}
		}
		b.Dataset.Annotations = append(b.Dataset.Annotations, a)
	}
	return nil
}

// categoryOf returns the id of an instance's category and adds it if it is new.
func (b *Builder) categoryOf(v *LabeledInstance) int64 {
	if v.CategoryID != 0 && b.ids[v.CategoryID] {
		return v.CategoryID
	}
	if id, ok := b.names[v.Category]; ok && v.Category != "" {
		return id
	}
	c := Category{ID: v.CategoryID, Name: v.Category}
	if v.CategoryKey != "" {
		set(&c.Extra, "id", appendString(nil, v.CategoryKey))
	}
	if c.ID == 0 {
		for c.ID = int64(len(b.ids) + 1); b.ids[c.ID]; c.ID++ {
		}
	}
	if c.Name == "" {
		c.Name = strconv.FormatInt(c.ID, 10)
	}
	b.category(c)
	return c.ID
}
