package coco

import (
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/diffusioninst/go/internal/regular"
)

// Load reads the data set in the file at path, which may be a pipe that the process was
// started with (/dev/stdin, or what a shell makes of <(command)). See Read.
func Load(path string) (*Dataset, error) {
	f, err := regular.OpenStream(path)
	if err != nil {
		return nil, fmt.Errorf("coco: %w", err)
	}
	defer f.Close()
	d, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("coco: %s: %w", path, err)
	}
	return d, nil
}

// Read reads a data set in the JSON form of COCO or LVIS, as a stream. Fields it
// does not know are kept in Extra; a null counts as an absent field. Errors are
// about the form only and name the record; Dataset.Validate checks the content.
func Read(r io.Reader) (*Dataset, error) {
	d, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("coco: %w", err)
	}
	return d, nil
}

func read(r io.Reader) (*Dataset, error) {
	d := &Dataset{}
	p := newParser(r)
	err := p.fields(&d.Extra, func(name string) (bool, error) {
		switch name {
		case "info":
			raw, err := p.raw()
			d.Info = raw
			return true, err
		case "licenses":
			return true, list(p, &d.Licenses, p.license)
		case "images":
			return true, list(p, &d.Images, p.image)
		case "annotations":
			return true, list(p, &d.Annotations, p.annotation)
		case "categories":
			return true, list(p, &d.Categories, p.category)
		}
		return false, nil
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, fmt.Errorf("data set: %w", err)
	}
	return d, nil
}

// A parser reads the records of data sets and results.
type parser struct {
	*scanner
	names  map[string]string // of fields, so that each is allocated once
	floats []float64         // rest of a block that polygons are cut from
	counts []uint32          // rest of a block that run lengths are cut from
	points []float64         // of the polygon being read
	runs   []uint32          // of the mask being read
}

func newParser(r io.Reader) *parser {
	return &parser{scanner: newScanner(r), names: map[string]string{}}
}

// fields reads an object. read gets the name of each field whose value is not
// null and returns whether it knows and has read it; the others go to extra. A
// missing required field is an error.
func (p *parser) fields(extra *map[string]json.RawMessage, read func(name string) (bool, error), required ...string) error {
	missing := uint(1)<<len(required) - 1
	err := p.object(func(text []byte) error {
		name, ok := p.names[string(text)]
		if !ok {
			name = string(text)
			if len(p.names) < 100 {
				p.names[name] = name
			}
		}
		if p.acceptNull() {
			return nil
		}
		for i, r := range required {
			if r == name {
				missing &^= 1 << i
			}
		}
		known, err := read(name)
		if !known && err == nil {
			var raw []byte
			if raw, err = p.raw(); err == nil {
				if *extra == nil {
					*extra = map[string]json.RawMessage{}
				}
				(*extra)[name] = raw
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err == nil && missing != 0 {
		err = p.failf("no %s", required[bits.TrailingZeros(missing)])
	}
	return err
}

// list reads an array of records. An error names the place in the list.
func list[T any](p *parser, to *[]T, read func(*T) error) error {
	// Long lists are collected in pieces, since growing one would copy it often.
	const piece = 4096
	var pieces [][]T
	var last []T
	err := p.array(func(i int) error {
		var v T
		if err := read(&v); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		if len(last) == piece {
			pieces, last = append(pieces, last), make([]T, 0, piece)
		}
		last = append(last, v)
		return nil
	})
	if *to = last; len(pieces) > 0 {
		*to = slices.Concat(append(pieces, last)...)
	}
	if *to == nil {
		*to = []T{}
	}
	return err
}

func (p *parser) license(l *License) error {
	return p.fields(&l.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return true, p.int(&l.ID)
		case "name":
			return true, p.string(&l.Name)
		case "url":
			return true, p.string(&l.URL)
		}
		return false, nil
	})
}

func (p *parser) image(m *Image) error {
	return p.fields(&m.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return true, p.int(&m.ID)
		case "width":
			return true, p.size(&m.Width)
		case "height":
			return true, p.size(&m.Height)
		case "file_name":
			return true, p.string(&m.FileName)
		case "license":
			return true, p.int(&m.License)
		case "coco_url":
			return true, p.string(&m.COCOURL)
		case "flickr_url":
			return true, p.string(&m.FlickrURL)
		case "date_captured":
			return true, p.string(&m.DateCaptured)
		case "neg_category_ids":
			return true, p.ids(&m.NegCategoryIDs)
		case "not_exhaustive_category_ids":
			return true, p.ids(&m.NotExhaustiveCategoryIDs)
		}
		return false, nil
	}, "id")
}

func (p *parser) category(c *Category) error {
	return p.fields(&c.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return true, p.int(&c.ID)
		case "name":
			return true, p.string(&c.Name)
		case "supercategory":
			return true, p.string(&c.Supercategory)
		case "frequency":
			return true, p.string(&c.Frequency)
		case "synset":
			return true, p.string(&c.Synset)
		case "synonyms":
			c.Synonyms = []string{}
			return true, p.array(func(int) error {
				s, err := p.text()
				c.Synonyms = append(c.Synonyms, s)
				return err
			})
		case "def":
			return true, p.string(&c.Definition)
		case "image_count":
			return true, p.size(&c.ImageCount)
		case "instance_count":
			return true, p.size(&c.InstanceCount)
		}
		return false, nil
	}, "id")
}

func (p *parser) annotation(a *Annotation) error {
	return p.fields(&a.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return true, p.int(&a.ID)
		case "image_id":
			return true, p.int(&a.ImageID)
		case "category_id":
			return true, p.int(&a.CategoryID)
		case "segmentation":
			return true, p.segmentation(&a.Segmentation)
		case "bbox":
			return true, p.box(&a.BBox, &a.HasBBox)
		case "area":
			a.HasArea = true
			return true, p.float(&a.Area)
		case "iscrowd":
			return true, p.flag(&a.Crowd)
		case "ignore":
			return true, p.flag(&a.Ignore)
		}
		return false, nil
	}, "id", "image_id", "category_id")
}
