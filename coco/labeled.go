package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"iter"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/mask"
)

// A LabeledImage is an image and the labelled instances on it, annotated or found: what
// all formats have in common. Its masks have the image's size.
type LabeledImage struct {
	ImageID       int64
	Key           string // the id if the file has a string for it: see KeyID
	FileName      string
	Width, Height int
	Instances     []LabeledInstance

	// Record is the image in the data set that this one was read from; nil if it comes from
	// elsewhere. Builder keeps what it says besides the fields above.
	Record *Image `json:"-"`

	set *Dataset // that Record is of
}

// A LabeledInstance is one object of a LabeledImage, annotated or found.
type LabeledInstance struct {
	CategoryID  int64  // 0 where the format has names only
	CategoryKey string // the id if the file has a string for it: see KeyID
	Category    string // name

	// Label is the number of the instance if the file has one, as label maps do; else 0. See
	// LabeledImage.Labels.
	Label uint32 `json:",omitempty"`

	// Score is the confidence of a detection. HasScore is false for an annotation.
	Score    float64
	HasScore bool

	// Box is x, y, width, height in pixels. HasBox is false if the file has
	// none; BBox then returns the mask's own.
	Box    [4]float64
	HasBox bool

	// BoxOnly is true if the file has a box and no mask; Mask then has no pixels.
	BoxOnly bool

	Mask  mask.RLE
	Crowd bool // a region of many objects

	// Record is the annotation that the instance was read from, with its id, area and fields
	// that are not known; nil if it comes from elsewhere, such as a file of LabelMe. Of a result it holds the
	// other fields. Builder keeps it as far as the fields above do not say otherwise. A mask
	// is to be replaced, not changed in place: so it is seen that it is another.
	Record *Annotation `json:"-"`

	read mask.RLE // the mask of Record
}

// BBox returns the box x, y, width, height, or the mask's bounding box if HasBox is false.
func (i *LabeledInstance) BBox() (box [4]float64) {
	if i.HasBox {
		return i.Box
	}
	box[0], box[1], box[2], box[3] = i.Mask.BBox()
	return box
}

var errNoPicture = errors.New("coco: there is no picture")

// check reports instances that the writers cannot take.
func (p *LabeledImage) check() error {
	if p == nil {
		return errNoPicture
	}
	if err := p.checkMasks(); err != nil {
		return fmt.Errorf("coco: %s: %w", p.FileName, err)
	}
	return nil
}

func (p *LabeledImage) checkMasks() error {
	for i := range p.Instances {
		m := p.Instances[i].Mask
		if m.Width != p.Width || m.Height != p.Height {
			return fmt.Errorf("instance %d: a mask of %d×%d pixels on %d×%d", i, m.Width, m.Height, p.Width, p.Height)
		}
		if err := m.Validate(); err != nil {
			return fmt.Errorf("instance %d: %w", i, err)
		}
	}
	return nil
}

// Results returns the instances as detections on image p.ImageID, with score 1 if an
// instance has none, and with the fields of their records that are not known.
func (p *LabeledImage) Results() []Result {
	out := make([]Result, len(p.Instances))
	for i := range p.Instances {
		v := &p.Instances[i]
		out[i] = Result{ImageID: p.ImageID, CategoryID: v.CategoryID, Score: 1,
			BBox: v.BBox(), HasBBox: true, Segmentation: NewSegmentation(v.Mask)}
		if v.HasScore {
			out[i].Score = v.Score
		}
		if v.BoxOnly {
			out[i].Segmentation = Segmentation{}
		}
		out[i].Extra = v.resultFields()
		if p.Key != "" {
			out[i].Extra = with(out[i].Extra, "image_id", p.keyText())
		}
		if v.CategoryKey != "" {
			out[i].Extra = with(out[i].Extra, "category_id", p.categoryText(v))
		}
	}
	return out
}

// resultFields returns the other fields of a result that an instance becomes.
func (i *LabeledInstance) resultFields() map[string]json.RawMessage {
	if i.Record == nil {
		return nil
	}
	if i.Record.fieldBits&ofResult == 0 {
		return without(i.Record.Extra, "id", "image_id", "category_id", "score", "area")
	}
	return without(i.Record.Extra, "image_id", "category_id")
}

// keyText returns Key as the file has it.
func (p *LabeledImage) keyText() json.RawMessage {
	if p.Record != nil && p.Record.Key() == p.Key {
		return p.Record.Extra["id"]
	}
	return appendString(nil, p.Key)
}

// categoryText returns the CategoryKey of an instance as the file has it.
func (p *LabeledImage) categoryText(v *LabeledInstance) json.RawMessage {
	if p.set != nil {
		for i := range p.set.Categories {
			if c := &p.set.Categories[i]; c.ID == v.CategoryID && c.Key() == v.CategoryKey {
				return c.Extra["id"]
			}
		}
	}
	return appendString(nil, v.CategoryKey)
}

// OverlayItems returns the instances for [mask.Overlay]: masks, boxes, and names with
// scores in percent.
func (p *LabeledImage) OverlayItems() ([]mask.OverlayItem, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	items := make([]mask.OverlayItem, len(p.Instances))
	for i := range p.Instances {
		v := &p.Instances[i]
		b := v.BBox()
		items[i] = mask.OverlayItem{Mask: v.Mask.Bitmap(), Label: v.label(), Class: v.class(), Box: image.Rect(
			int(math.Floor(b[0])), int(math.Floor(b[1])), int(math.Ceil(b[0]+b[2])), int(math.Ceil(b[1]+b[3])))}
	}
	return items, nil
}

// class is the name of the class, or its id if it has none.
func (i *LabeledInstance) class() string {
	if i.Category == "" && i.CategoryID != 0 {
		return strconv.FormatInt(i.CategoryID, 10)
	}
	return i.Category
}

func (i *LabeledInstance) label() string {
	name := i.class()
	if i.HasScore {
		name = strings.TrimSpace(fmt.Sprintf("%s %.0f%%", name, 100*i.Score))
	}
	return name
}

// Stem returns the image's file name without folder and extension, or its id if it has no
// name. Names of written files start with it.
func (p *LabeledImage) Stem() string {
	base := path.Base(strings.ReplaceAll(p.FileName, `\`, "/"))
	if p.FileName == "" || base == "/" || base == "." || base == ".." {
		return strconv.FormatInt(p.ImageID, 10)
	}
	if stem := strings.TrimSuffix(base, path.Ext(base)); stem != "" {
		return stem
	}
	return base
}

// LabeledImages yields every image of d with its annotations, in the order of
// d.Images. An annotation's score is read from its Extra, where Builder puts it. An
// annotation without a mask becomes an instance without pixels, BoxOnly if it has a box. An error names the record
// and ends the sequence.
func (d *Dataset) LabeledImages() iter.Seq2[*LabeledImage, error] {
	return func(yield func(*LabeledImage, error) bool) {
		ix, err := d.Index()
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range d.Images {
			p, err := d.picture(ix, i)
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// LabeledImage returns the image with an id, and its annotations. The index must be d's.
func (d *Dataset) LabeledImage(ix *Index, imageID int64) (*LabeledImage, error) {
	if d == nil || ix == nil {
		return nil, errNoData
	}
	i, ok := ix.Image(imageID)
	if !ok {
		return nil, fmt.Errorf("coco: image %d is not in the data set", imageID)
	}
	return d.picture(ix, i)
}

func (d *Dataset) picture(ix *Index, i int) (*LabeledImage, error) {
	p := d.blank(i)
	places := ix.ofImage.of(i)
	if len(places) > 0 {
		p.Instances = make([]LabeledInstance, 0, len(places))
	}
	for _, place := range places {
		a := &d.Annotations[place]
		c := &d.Categories[ix.categories[a.CategoryID]]
		v := LabeledInstance{CategoryID: a.CategoryID, CategoryKey: c.Key(), Category: c.Name, Box: a.BBox, HasBox: a.HasBBox, Crowd: a.Crowd, Record: a}
		v.Score, v.HasScore = scoreOf(a.Extra)
		var err error
		if a.Segmentation.Empty() {
			v.Mask, err = noPixels(p.Width, p.Height)
			v.BoxOnly = v.HasBox
		} else {
			v.Mask, err = a.Segmentation.RLE(p.Width, p.Height)
		}
		if err != nil {
			return nil, problem("annotation", int(place), a, err)
		}
		v.read = v.Mask
		p.Instances = append(p.Instances, v)
	}
	return p, nil
}

// blank returns image i without instances.
func (d *Dataset) blank(i int) *LabeledImage {
	m := &d.Images[i]
	return &LabeledImage{ImageID: m.ID, Key: m.Key(), FileName: m.FileName, Width: m.Width, Height: m.Height, Record: m, set: d}
}

// ResultImages yields every image of d with the results on it whose score is at least
// minScore, without the annotations of d. One without a mask is an instance without pixels,
// BoxOnly. An error names the record and ends the sequence.
func ResultImages(d *Dataset, results []Result, minScore float64) iter.Seq2[*LabeledImage, error] {
	return func(yield func(*LabeledImage, error) bool) {
		e, err := newEvaluation(d, results, Options{IoU: BBox})
		if err != nil {
			yield(nil, err)
			return
		}
		for i := range d.Images {
			p := d.blank(i)
			var err error
			for _, place := range e.found.of(i) {
				r := &results[place]
				if r.Score < minScore {
					continue
				}
				v := LabeledInstance{CategoryID: r.CategoryID, Score: r.Score, HasScore: true, Box: r.BBox, HasBox: r.HasBBox, Record: r.annotation()}
				v.Crowd = v.Record.Crowd
				c := &d.Categories[e.categories[e.category[r.CategoryID]]]
				v.Category, v.CategoryKey = c.Name, c.Key()
				if v.BoxOnly = r.Segmentation.Empty(); v.BoxOnly {
					v.Mask, err = noPixels(p.Width, p.Height)
				} else {
					v.Mask, err = r.Segmentation.RLE(p.Width, p.Height)
				}
				if err != nil {
					err = problem("result", int(place), r, err)
					break
				}
				v.read = v.Mask
				p.Instances = append(p.Instances, v)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// noPixels returns a mask without pixels.
func noPixels(width, height int) (mask.RLE, error) {
	r := mask.RLE{Width: width, Height: height, Counts: []uint32{uint32(width * height)}}
	return r, r.Validate()
}
