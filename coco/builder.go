package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// A Builder makes a Dataset from labelled images.
//
// What was read from a data set is written as it was read: see LabeledImage.Record and
// LabeledInstance.Record. The first image of a data set brings along the set's info, licences
// and other fields as far as Dataset has none. Ids of images, annotations, categories and
// licences are kept unless another has them, as may be if several data sets are joined. What
// is not kept is in Notes.
type Builder struct {
	// Dataset is what has been built so far.
	Dataset Dataset

	// Polygons writes masks as polygons, exact to the pixel, instead of compressed
	// run lengths. Crowds are run lengths, unless they were read as polygons.
	Polygons bool

	names      map[string]int64 // ids of categories
	categories map[int64]string // names of categories
	sources    map[*Dataset]*source
	notes      []note

	categoryIDs, images, annotations idSet
}

// NewBuilder starts a data set with these categories. Further ones are added as
// instances name them.
func NewBuilder(categories []Category) *Builder {
	b := &Builder{}
	b.Dataset = Dataset{Images: []Image{}, Annotations: []Annotation{}, Categories: []Category{}}
	b.begin()
	for _, c := range categories {
		b.category(c)
	}
	return b
}

func (b *Builder) begin() {
	b.names, b.categories, b.sources = map[string]int64{}, map[int64]string{}, map[*Dataset]*source{}
}

// Add adds an image. Its ImageID is kept unless another has it, or it is 0 and no file says
// so: then it gets the next free one. An instance without a CategoryID, or with one that the
// data set lacks, belongs to the category of its name, and so does one that was read from
// another data set in which the id stands for another name. Scores go into the annotations'
// extra fields.
//
// An instance with a Record becomes that annotation. Its area is computed only if the mask is
// another than was read, or the file has no area that is a number; so is its box, unless Box
// is another, too.
func (b *Builder) Add(p *LabeledImage) error {
	if b == nil {
		return errors.New("coco: the Builder is nil")
	}
	if err := p.check(); err != nil {
		return err
	}
	if b.names == nil { // a Builder that NewBuilder has not made
		b.begin()
	}
	from := b.source(p.set)
	m := b.image(p, from)
	b.Dataset.Images = append(b.Dataset.Images, m)
	for i := range p.Instances {
		a, err := b.annotation(p, &p.Instances[i], from)
		if err != nil {
			return fmt.Errorf("coco: %s: instance %d: %w", p.FileName, i, err)
		}
		a.ImageID = m.ID
		b.Dataset.Annotations = append(b.Dataset.Annotations, a)
	}
	return nil
}

// image returns the record of an image.
func (b *Builder) image(p *LabeledImage, from *source) Image {
	var m Image
	if p.Record != nil {
		m = *p.Record
		m.record = 0
	}
	m.ID, m.FileName, m.Width, m.Height = p.ImageID, p.FileName, p.Width, p.Height
	known := m.ID != 0 || p.Record != nil
	if taken := b.images.has(m.ID); taken || !known {
		m.ID = b.images.fresh()
		if taken && known {
			b.note("%d images have the id of another and are numbered anew (the first: %s, id %s, is now %d)", p.FileName, idOr(p.Key, p.ImageID), m.ID)
		}
	}
	b.images.add(m.ID)
	switch {
	case p.Key == "" || m.ID != p.ImageID:
		m.Extra = without(m.Extra, "id")
	case m.Key() != p.Key:
		m.Extra = with(m.Extra, "id", appendString(nil, p.Key))
	}
	if id, ok := from.licenses[m.License]; ok {
		m.License = id
	}
	m.NegCategoryIDs = b.renumbered(m.NegCategoryIDs, from)
	m.NotExhaustiveCategoryIDs = b.renumbered(m.NotExhaustiveCategoryIDs, from)
	return m
}

// annotation returns the record of an instance, without the image's id.
func (b *Builder) annotation(p *LabeledImage, v *LabeledInstance, from *source) (Annotation, error) {
	a := Annotation{}
	var read *Annotation // nil if there is nothing to keep
	known := false       // the id
	if v.Record != nil {
		a, read = *v.Record, v.Record
		a.record = 0
		known = a.fieldBits&(ofResult|hasResultID) != ofResult
		if a.fieldBits&ofResult != 0 {
			a.fieldBits = 0
			a.Extra = without(a.Extra, "area", "iscrowd", "ignore")
			if key := stringID(a.Extra, "id"); key == strconv.FormatInt(a.ID, 10) {
				a.Extra = without(a.Extra, "id")
			}
		}
		a.Extra = without(a.Extra, "image_id", "category_id")
	}
	if taken := known && b.annotations.has(a.ID); taken || !known {
		old := idText(a.ID, a.Extra, "id")
		a.ID, a.Extra = b.annotations.fresh(), without(a.Extra, "id")
		if taken {
			b.note("%d annotations have the id of another and are numbered anew (the first: of %s, id %s, is now %d)", p.FileName, old, a.ID)
		}
	}
	b.annotations.add(a.ID)
	a.CategoryID, a.Crowd = b.categoryOf(v, from), v.Crowd
	if err := a.setScore(v); err != nil {
		return a, err
	}
	b.shape(&a, p, v, read)
	return a, nil
}

// setScore puts the score of an instance into the other fields, unless it is there.
func (a *Annotation) setScore(v *LabeledInstance) error {
	score, has := scoreOf(a.Extra)
	switch {
	case has && !v.HasScore:
		a.Extra = without(a.Extra, "score")
	case v.HasScore && !(has && score == v.Score):
		text, err := json.Marshal(v.Score)
		if err != nil {
			return err
		}
		a.Extra = with(a.Extra, "score", text)
	}
	return nil
}

// shape sets the mask, the box and the area of an annotation. read is what they were read
// from, or nil.
func (b *Builder) shape(a *Annotation, p *LabeledImage, v *LabeledInstance, read *Annotation) {
	same := read != nil && v.unchanged()
	pixels := v.Mask.Area()
	a.BBox, a.HasBBox = v.Box, v.HasBox
	if !same && read != nil && read.HasBBox && a.BBox == read.BBox && !v.BoxOnly {
		a.HasBBox = false // that of the former mask
	}
	if !a.HasBBox && (pixels > 0 || read == nil) {
		a.BBox[0], a.BBox[1], a.BBox[2], a.BBox[3] = v.Mask.BBox()
		a.HasBBox = true
		if same && read.fieldBits&ofResult == 0 {
			b.note("%d annotations have no box and get that of the mask (the first: of %s, id %s)", p.FileName, idText(a.ID, a.Extra, "id"))
		}
	}
	outline := b.Polygons && !v.Crowd && pixels > 0
	switch {
	case v.BoxOnly && same:
	case v.BoxOnly:
		a.Segmentation = Segmentation{}
	case outline && !(same && len(a.Segmentation.Polygons) > 0):
		a.Segmentation = Segmentation{Polygons: v.Mask.Bitmap().Polygons(0)}
	case !same:
		a.Segmentation = NewSegmentation(v.Mask)
	}
	switch {
	case same && (kept(a.Extra, "area") || a.HasArea && isFinite(a.Area)):
		return
	case same && read.fieldBits&ofResult == 0:
		b.note("%d annotations have no area that is a number and get that of the mask or box (the first: of %s, id %s)", p.FileName, idText(a.ID, a.Extra, "id"))
	case read != nil && !same:
		b.note("%d annotations have another mask or box than was read: their areas are computed (the first: of %s, id %s)", p.FileName, idText(a.ID, a.Extra, "id"))
	}
	a.Extra = without(a.Extra, "area")
	if a.Area, a.HasArea = float64(pixels), true; v.BoxOnly {
		a.Area = v.Box[2] * v.Box[3]
	}
}

// unchanged reports whether the mask, or the box without one, is that of the record.
func (i *LabeledInstance) unchanged() bool {
	r := i.Record
	if i.BoxOnly {
		return r.Segmentation.Empty() && r.HasBBox && r.BBox == i.Box
	}
	m, n := i.Mask, i.read
	if m.Width == n.Width && m.Height == n.Height && len(m.Counts) == len(n.Counts) && (len(m.Counts) == 0 || &m.Counts[0] == &n.Counts[0]) {
		return true
	}
	n, err := r.Segmentation.RLE(m.Width, m.Height)
	return err == nil && slices.Equal(m.Counts, n.Counts)
}
