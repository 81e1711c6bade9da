package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
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
	return d, inFile(path, err)
}

// Read reads a data set in the JSON form of COCO or LVIS, as a stream. Fields that it does not
// know are kept in Extra, and so are nulls, which count as absent fields, and fields that
// nothing is computed with, such as license, if they have another type than usual. Numbers
// may be written as strings; an id may be any string (see KeyID). Write gives the same content
// back. NaN and infinities, which JSON lacks, become null where they are not areas.
//
// If single records or fields cannot be read, Read returns a Problems error that names
// them together with the data set without them. With every other error the data set is
// nil. Dataset.Validate checks the content. A mask that cannot be read, as a whole or in
// part, is an error only where it is used: see Segmentation.RLE and Clean. Text in Latin-1
// is read, and is a harmless problem; so is text of an unknown encoding that is not a name.
// Annotations without an id, or with that of another that differs, get a number, and exact
// copies are left out: harmless problems, too.
func Read(r io.Reader) (*Dataset, error) {
	d, err := read(r)
	return d, prefixed(err)
}

func read(r io.Reader) (*Dataset, error) {
	d := &Dataset{}
	p := newParser(r)
	known := false // any of the fields that make a data set
	err := p.object(func(text []byte) (err error) {
		name := string(text)
		known = known || name == "images" || name == "annotations" || name == "categories"
		if p.acceptNull() {
			set(&d.Extra, name, null)
			return nil
		}
		switch {
		case name == "images":
			err = list(p, "image", &d.Images, p.image)
		case name == "annotations":
			err = list(p, "annotation", &d.Annotations, p.annotation)
		case name == "categories":
			err = list(p, "category", &d.Categories, p.category)
		case name == "licenses" && p.peek() == '[':
			err = list(p, "license", &d.Licenses, p.license)
		case name == "info":
			d.Info, err = p.raw()
		default:
			err = p.keep(&d.Extra, name)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err == nil && !known {
		err = errors.New("it has none of images, annotations and categories: not a COCO data set")
	}
	if err != nil {
		return nil, fmt.Errorf("data set: %w", err)
	}
	d.keepDangling(p.keys)
	p.encodings()
	p.giveIDs(d)
	return d, p.problems.err()
}

// A parser reads the records of data sets and results.
type parser struct {
	*scanner
	names    map[string]string         // of fields, so that each is allocated once
	floats   []float64                 // rest of a block that polygons are cut from
	counts   []uint32                  // rest of a block that run lengths are cut from
	points   []float64                 // of the polygon being read
	runs     []uint32                  // of the mask being read
	keys     map[int64]json.RawMessage // ids that are strings or long numbers
	faults   []string                  // of the record being read
	parts    []string                  // what is wrong with parts of the mask being read
	index    int                       // of the record being read
	problems Problems
}

func newParser(r io.Reader) *parser {
	p := &parser{scanner: newScanner(utf.NewReader(r)), names: map[string]string{}, keys: map[int64]json.RawMessage{}}
	p.lenient = true
	return p
}

// fields reads an object. read gets the name of each field whose value is not null and
// returns whether it knows and has read it; the others go to extra. A field that cannot be
// read is left out and a fault of the record. fields reports whether no required one is
// missing.
func (p *parser) fields(extra *map[string]json.RawMessage, read func(name string) (bool, error), required ...string) (complete bool, err error) {
	missing := uint(1)<<len(required) - 1
	broken := false // a required one
	err = p.object(func(text []byte) error {
		name, ok := p.names[string(text)]
		if !ok {
			name = string(text)
			if len(p.names) < 100 {
				p.names[name] = name
			}
		}
		if p.acceptNull() {
			if name != "id" { // which an annotation then gets
				set(extra, name, null)
			}
			return nil
		}
		m := p.mark()
		known, err := read(name)
		switch {
		case err != nil && p.again(m):
			p.faults = append(p.faults, fmt.Sprintf("%s: %v", name, err))
			p.release(m)
			broken = broken || slices.Contains(required, name)
			return nil
		case err == nil && !known:
			err = p.keep(extra, name)
		}
		p.release(m)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for i, r := range required {
			if r == name {
				missing &^= 1 << i
			}
		}
		return nil
	})
	if err == nil && missing != 0 && !broken {
		p.faults = append(p.faults, "no "+required[bits.TrailingZeros(missing)])
	}
	return missing == 0, err
}

// keep reads any value into extra.
func (p *parser) keep(extra *map[string]json.RawMessage, name string) error {
	raw, err := p.raw()
	if err == nil {
		set(extra, name, raw)
	}
	return err
}

// list reads an array of records. A record that is not complete is left out; its faults
// and the faults of others are problems. An error of the text names the place in the list.
func list[T any, P interface {
	*T
	identified
}](p *parser, kind string, to *[]T, read func(*T) (bool, error)) error {
	// Long lists are collected in pieces, since growing one would copy it often.
	const piece = 4096
	var pieces [][]T
	var last []T
	kept := 0
	err := p.array(func(i int) error {
		var v T
		complete := false
		var err error
		before := len(p.faults)
		p.index = i
		if p.peek() == '{' {
			complete, err = read(&v)
		} else {
			p.faults = append(p.faults, p.unexpected("an object").Error())
			p.skipped = p.skipped[:0]
			err = p.skip(&p.skipped)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		if len(p.faults) > before {
			n, key := P(&v).id()
			for _, text := range p.faults[before:] {
				p.problems = append(p.problems, Problem{Record: kind, Index: i, ID: n, Key: key, Message: text})
			}
			p.faults = p.faults[:before]
		}
		if !complete {
			return nil
		}
		P(&v).numbered(i, kept)
		kept++
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

func (p *parser) license(l *License) (bool, error) {
	l.fieldBits = fromFile
	return p.fields(&l.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return p.intOrRaw(&l.ID, &l.fieldBits, hasLicenseID)
		case "name":
			return p.textOrRaw(&l.Name, &l.fieldBits, hasLicenseName)
		case "url":
			return p.textOrRaw(&l.URL, &l.fieldBits, hasURL)
		}
		return false, nil
	})
}

func (p *parser) image(m *Image) (bool, error) {
	m.fieldBits = fromFile
	return p.fields(&m.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return true, p.ownID(&m.ID, &m.Extra, name)
		case "width":
			m.fieldBits |= hasWidth
			return true, p.size(&m.Width)
		case "height":
			m.fieldBits |= hasHeight
			return true, p.size(&m.Height)
		case "file_name":
			m.fieldBits |= hasFileName
			return true, p.string(&m.FileName)
		case "license":
			return p.intOrRaw(&m.License, &m.fieldBits, hasLicense)
		case "coco_url":
			return p.textOrRaw(&m.COCOURL, &m.fieldBits, hasCOCOURL)
		case "flickr_url":
			return p.textOrRaw(&m.FlickrURL, &m.fieldBits, hasFlickrURL)
		case "date_captured":
			return p.textOrRaw(&m.DateCaptured, &m.fieldBits, hasDate)
		case "neg_category_ids":
			return true, p.ids(&m.NegCategoryIDs)
		case "not_exhaustive_category_ids":
			return true, p.ids(&m.NotExhaustiveCategoryIDs)
		}
		return false, nil
	}, "id")
}

func (p *parser) category(c *Category) (bool, error) {
	c.fieldBits = fromFile
	return p.fields(&c.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			return true, p.ownID(&c.ID, &c.Extra, name)
		case "name":
			c.fieldBits |= hasName
			return true, p.name(c)
		case "supercategory":
			return p.textOrRaw(&c.Supercategory, &c.fieldBits, hasSupercategory)
		case "frequency":
			return p.textOrRaw(&c.Frequency, &c.fieldBits, hasFrequency)
		case "synset":
			return p.textOrRaw(&c.Synset, &c.fieldBits, hasSynset)
		case "synonyms":
			return p.stringsOrRaw(&c.Synonyms, &c.Extra, name)
		case "def":
			return p.textOrRaw(&c.Definition, &c.fieldBits, hasDefinition)
		case "image_count":
			return p.countOrRaw(&c.ImageCount, &c.fieldBits, hasImageCount)
		case "instance_count":
			return p.countOrRaw(&c.InstanceCount, &c.fieldBits, hasInstanceCount)
		}
		return false, nil
	}, "id")
}

func (p *parser) annotation(a *Annotation) (bool, error) {
	a.ID, a.fieldBits = noID, fromFile
	broken := false // the id
	complete, err := p.fields(&a.Extra, func(name string) (bool, error) {
		switch name {
		case "id":
			err := p.ownID(&a.ID, &a.Extra, name)
			broken = err != nil
			return true, err
		case "image_id":
			_, err := p.id(&a.ImageID)
			return true, err
		case "category_id":
			_, err := p.id(&a.CategoryID)
			return true, err
		case "segmentation":
			a.fieldBits |= hasSegmentation
			return true, p.segmentation(&a.Segmentation)
		case "bbox":
			a.fieldBits |= hasBox
			return true, p.box(&a.BBox, &a.HasBBox)
		case "area":
			return p.area(a), nil
		case "iscrowd":
			a.fieldBits |= hasCrowd
			return true, p.flag(&a.Crowd)
		case "ignore":
			a.fieldBits |= hasIgnore
			return true, p.flag(&a.Ignore)
		}
		return false, nil
	}, "image_id", "category_id")
	if complete = complete && !broken; a.ID == noID && !complete || broken {
		a.ID = 0
	}
	return complete, err
}
