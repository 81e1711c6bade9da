package coco

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"strconv"
)

// KeyID returns the id that stands for a string id of a data set or a results file: the
// number, if the string is one as this package writes it ("7"), and otherwise a negative
// number made of the string's hash. So strings of several files match. Records keep the
// string in Extra and are written with it.
func KeyID(key string) int64 {
	if v, err := strconv.ParseInt(key, 10, 64); err == nil && strconv.FormatInt(v, 10) == key {
		return v
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	return -1 - int64(h.Sum64()>>1)
}

// id reads an id, and returns it as the file has it if that is a string, or a number of more digits than
// an int64 holds, such as that of a UUID.
func (p *parser) id(to *int64) (json.RawMessage, error) {
	var key string
	var text json.RawMessage
	if p.peek() == '"' {
		b, err := p.bytes()
		switch {
		case err != nil:
			return nil, err
		case len(b) == 0:
			return nil, p.failf("an empty id")
		}
		key, text = string(b), appendString(nil, string(b))
	} else {
		err := p.int(to)
		if err == nil {
			return nil, nil
		}
		token, _, _, _, derr := p.digits()
		if derr != nil || len(bytes.Trim(token, "-0123456789")) > 0 || len(token) > 64 {
			return nil, err
		}
		p.pos += len(token)
		key, text = string(token), bytes.Clone(token)
	}
	*to = KeyID(key)
	p.keys[*to] = text
	return text, nil
}

// ownID reads the id of a record, which keeps it in extra if it is a string or a long number.
func (p *parser) ownID(to *int64, extra *map[string]json.RawMessage, name string) error {
	text, err := p.id(to)
	if err == nil && text != nil {
		set(extra, name, text)
	}
	return err
}

// stringID returns an id as the file has it if that is a string, or a number that an int64 does
// not hold, and otherwise "".
func stringID(extra map[string]json.RawMessage, name string) (key string) {
	raw := extra[name]
	switch {
	case len(raw) == 0:
	case raw[0] == '"':
		_ = json.Unmarshal(raw, &key)
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		key = string(raw)
	}
	return key
}

// Key returns the id as the file has it if that is a string, or a number that an int64 does not
// hold, and otherwise "".
func (m *Image) Key() string {
	if m == nil {
		return ""
	}
	return stringID(m.Extra, "id")
}

// Key returns the id as the file has it if that is a string, or a number that an int64 does not
// hold, and otherwise "".
func (c *Category) Key() string { return stringID(c.Extra, "id") }

func (m *Image) id() (int64, string)      { return m.ID, m.Key() }
func (c *Category) id() (int64, string)   { return c.ID, c.Key() }
func (l *License) id() (int64, string)    { return l.ID, stringID(l.Extra, "id") }
func (a *Annotation) id() (int64, string) { return a.ID, stringID(a.Extra, "id") }
func (r *Result) id() (int64, string)     { return r.ImageID, stringID(r.Extra, "image_id") }

// keepDangling keeps string ids of images and categories that the data set lacks with the
// records that have them. Ids of others are kept once, with the image or category.
func (d *Dataset) keepDangling(keys map[int64]json.RawMessage) {
	if len(keys) == 0 {
		return
	}
	images, categories := map[int64]bool{}, map[int64]bool{}
	for i := range d.Images {
		images[d.Images[i].ID] = true
	}
	for i := range d.Categories {
		categories[d.Categories[i].ID] = true
	}
	for i := range d.Annotations {
		a := &d.Annotations[i]
		if key, ok := keys[a.ImageID]; ok && !images[a.ImageID] {
			set(&a.Extra, "image_id", key)
		}
		if key, ok := keys[a.CategoryID]; ok && !categories[a.CategoryID] {
			set(&a.Extra, "category_id", key)
		}
	}
	dangling := func(id int64) bool { return keys[id] != nil && !categories[id] }
	for i := range d.Images {
		m := &d.Images[i]
		if slices.ContainsFunc(m.NegCategoryIDs, dangling) {
			set(&m.Extra, "neg_category_ids", appendIDs(nil, m.NegCategoryIDs, keys))
		}
		if slices.ContainsFunc(m.NotExhaustiveCategoryIDs, dangling) {
			set(&m.Extra, "not_exhaustive_category_ids", appendIDs(nil, m.NotExhaustiveCategoryIDs, keys))
		}
	}
}

// noID stands for the id of an annotation without one until all are read.
const noID = math.MinInt64

// giveIDs gives ids to the annotations that have none, or the id of another. Nothing refers
// to them, so no annotation is lost by it. Of copies that are the same in all, the id included,
// one is left.
func (p *parser) giveIDs(d *Dataset) {
	next, n := int64(0), 0
	for i := range d.Annotations {
		next = max(next, d.Annotations[i].ID)
	}
	for i := range d.Annotations {
		if a := &d.Annotations[i]; a.ID == noID {
			next++
			a.ID = next
			n++
		}
	}
	p.harmless(n, "%d annotations have no id: they are numbered", n)
	if d.uniqueIDs() {
		return
	}
	// Some tools give one id to all: only those that are alike at a glance are compared in all.
	type glance struct {
		id, image, category int64
		box                 [4]float64
	}
	first := make(map[int64]int, len(d.Annotations)) // place by id
	alike := map[glance][]int{}
	var copies, others []int
	for i := range d.Annotations {
		a := &d.Annotations[i]
		at := glance{a.ID, a.ImageID, a.CategoryID, a.BBox}
		same := alike[at]
		alike[at] = append(same, i)
		if _, seen := first[a.ID]; !seen {
			first[a.ID] = i
			continue
		}
		switch {
		case slices.ContainsFunc(same, func(k int) bool { return a.equal(&d.Annotations[k]) }):
			copies = append(copies, i)
		default:
			others = append(others, i)
		}
	}
	said := func(i int) string { // the annotation at place i, and the first that has its id
		a := &d.Annotations[i]
		k := first[a.ID]
		return fmt.Sprintf("records %d and %d, id %s", d.Annotations[k].number(k), a.number(i), idText(a.ID, a.Extra, "id"))
	}
	if len(copies) > 0 {
		p.harmless(len(copies), "%d annotations are exact copies of others and are left out (the first: %s)", len(copies), said(copies[0]))
	}
	if len(others) > 0 {
		p.harmless(len(others), "%d annotations have the id of another that differs: they are kept and numbered anew (the first: %s)", len(others), said(others[0]))
	}
	for _, i := range others {
		a := &d.Annotations[i]
		next++
		a.ID = next
		delete(a.Extra, "id")
	}
	if len(copies) > 0 {
		d.Annotations = keep(d.Annotations, func(i int) bool {
			_, found := slices.BinarySearch(copies, i)
			return !found
		})
	}
}

// harmless notes a problem of n records that costs nothing, if there are any.
func (p *parser) harmless(n int, format string, args ...any) {
	if n > 0 {
		p.problems = append(p.problems, Problem{Record: "data set", Harmless: true, Message: fmt.Sprintf(format, args...)})
	}
}

// uniqueIDs reports whether no two annotations have the same id.
func (d *Dataset) uniqueIDs() bool {
	ids := make([]int64, len(d.Annotations))
	for i := range d.Annotations {
		ids[i] = d.Annotations[i].ID
	}
	slices.Sort(ids)
	return len(slices.Compact(ids)) == len(d.Annotations)
}

// equal reports whether two annotations are the same but for their places in the file.
func (a *Annotation) equal(other *Annotation) bool {
	x, y := *a, *other
	x.record, y.record = 0, 0
	if math.IsNaN(x.Area) && math.IsNaN(y.Area) {
		x.Area, y.Area = 0, 0
	}
	return reflect.DeepEqual(x, y)
}

// intOrRaw reads a whole number and sets a bit of has. Of another value it reads nothing and
// returns false, so that the field is kept as it stands.
func (p *parser) intOrRaw(to *int64, has *fieldBits, bit fieldBits) (bool, error) {
	v, err := p.integer()
	if err != nil {
		return false, nil // what is wrong with the text is found again
	}
	*to = v
	*has |= bit
	return true, nil
}

func (p *parser) countOrRaw(to *int, has *fieldBits, bit fieldBits) (bool, error) {
	var v int64
	known, err := p.intOrRaw(&v, has, bit)
	*to = int(v)
	return known, err
}

// stringsOrRaw reads a list of strings, or any other value into extra.
func (p *parser) stringsOrRaw(to *[]string, extra *map[string]json.RawMessage, name string) (bool, error) {
	raw, err := p.raw()
	if err != nil {
		return true, err
	}
	if json.Unmarshal(raw, to) != nil || *to == nil {
		*to = nil
		set(extra, name, raw)
	}
	return true, nil
}

// name reads a category's name. One that is a number is also kept as it stands.
func (p *parser) name(c *Category) error {
	if ch := p.peek(); ch != '-' && (ch < '0' || ch > '9') {
		return p.string(&c.Name)
	}
	raw, err := p.raw()
	if err == nil {
		c.Name = string(raw)
		set(&c.Extra, "name", raw)
	}
	return err
}
