package coco

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// A source is a data set that images of a Builder were read from.
type source struct {
	categories map[int64]*Category
	licenses   map[int64]int64 // new ids of those that were taken
}

// source returns what is known of a data set, which may be nil. When it comes for the first
// time, it brings along what is not of single images.
func (b *Builder) source(set *Dataset) *source {
	if s := b.sources[set]; s != nil {
		return s
	}
	s := &source{categories: map[int64]*Category{}, licenses: map[int64]int64{}}
	b.sources[set] = s
	if set == nil {
		return s
	}
	// New ids are above those of the set, so that none is in the way of one that is kept.
	for i := range set.Categories {
		c := &set.Categories[i]
		if s.categories[c.ID] == nil {
			s.categories[c.ID] = c
		}
		b.categoryIDs.max = max(b.categoryIDs.max, c.ID)
	}
	for i := range set.Images {
		b.images.max = max(b.images.max, set.Images[i].ID)
	}
	for i := range set.Annotations {
		b.annotations.max = max(b.annotations.max, set.Annotations[i].ID)
	}
	b.takeTop(set)
	b.takeLicenses(set.Licenses, s)
	return s
}

// takeTop takes the info and the other fields of a data set that the builder's has not.
func (b *Builder) takeTop(from *Dataset) {
	d := &b.Dataset
	switch {
	case d.Info == nil:
		d.Info = from.Info
	case from.Info != nil && !bytes.Equal(d.Info, from.Info):
		b.note("%d further data sets have another info, which is left out")
	}
	for _, name := range slices.Sorted(maps.Keys(from.Extra)) {
		switch own, there := d.Extra[name]; {
		case !there:
			set(&d.Extra, name, from.Extra[name])
		case !bytes.Equal(own, from.Extra[name]):
			b.note("%d further data sets have other values of fields, which are left out (the first: %s)", name)
		}
	}
}

// takeLicenses adds licences. One whose id another has gets a new one.
func (b *Builder) takeLicenses(list []License, s *source) {
	there := b.Dataset.Licenses
	if list != nil && there == nil {
		b.Dataset.Licenses = []License{}
	}
	var ids idSet
	for _, licenses := range [][]License{there, list} {
		for i := range licenses {
			ids.max = max(ids.max, licenses[i].ID)
		}
	}
	for _, l := range list {
		l.record = 0
		at := slices.IndexFunc(there, func(other License) bool { return other.ID == l.ID })
		if at >= 0 && l.ID != 0 && reflect.DeepEqual(there[at], l) {
			continue
		}
		if at >= 0 && l.ID != 0 {
			old := l.ID
			l.ID, l.Extra = ids.fresh(), without(l.Extra, "id")
			ids.add(l.ID)
			s.licenses[old] = l.ID
			b.note("%d licences have the id of another and are numbered anew (the first: %s, id %d, is now %d)", l.Name, old, l.ID)
		}
		b.Dataset.Licenses = append(b.Dataset.Licenses, l)
	}
}

// renumbered returns ids of categories of a source as the builder has them.
func (b *Builder) renumbered(ids []int64, from *source) []int64 {
	out := ids
	for i, id := range ids {
		c := from.categories[id]
		if c == nil {
			continue
		}
		if own := b.place(id, c, true); own != id {
			if &out[0] == &ids[0] {
				out = slices.Clone(ids)
			}
			out[i] = own
		}
	}
	return out
}

// categoryOf returns the id of an instance's category and adds it if it is new.
func (b *Builder) categoryOf(v *LabeledInstance, from *source) int64 {
	c := from.categories[v.CategoryID]
	known := c != nil && c.Name == v.Category
	if !known {
		c = &Category{ID: v.CategoryID, Name: v.Category}
		if v.CategoryKey != "" {
			set(&c.Extra, "id", appendString(nil, v.CategoryKey))
		}
	}
	return b.place(v.CategoryID, c, known)
}

// place returns the builder's id of a category, and adds it if it is new. read says that it is
// one of a source: then another of the same id has its name, too. Otherwise an id of 0 is none.
func (b *Builder) place(id int64, c *Category, read bool) int64 {
	known := id != 0 || read
	own, taken := b.categories[id]
	if known && taken && (!read || own == c.Name || c.Name == "") {
		return id
	}
	if id, ok := b.names[c.Name]; ok && c.Name != "" {
		return id
	}
	n := *c
	n.record = 0
	if taken || !known {
		n.ID = b.categoryIDs.fresh()
		n.Extra = without(n.Extra, "id")
		if known {
			b.note("%d categories have the id of another and are numbered anew (the first: %s, id %s, is now %d)", c.Name, idText(id, c.Extra, "id"), n.ID)
		}
	}
	if n.Name == "" && !read {
		n.Name = strconv.FormatInt(n.ID, 10)
	}
	b.category(n)
	return n.ID
}

func (b *Builder) category(c Category) {
	b.Dataset.Categories = append(b.Dataset.Categories, c)
	b.categories[c.ID] = c.Name
	b.categoryIDs.add(c.ID)
	if _, ok := b.names[c.Name]; !ok {
		b.names[c.Name] = c.ID
	}
}

// A note is something that was not kept: how often, and the first case.
type note struct {
	format string
	count  int
	first  []any
}

// note counts a case. format has a verb for the count and for what follows.
func (b *Builder) note(format string, first ...any) {
	for i := range b.notes {
		if n := &b.notes[i]; n.format == format {
			n.count++
			return
		}
	}
	b.notes = append(b.notes, note{format, 1, first})
}

// Notes returns in words what Add has not kept as it was read: ids that another has, and areas
// and boxes that it has computed, each once with their number and the first case.
func (b *Builder) Notes() []string {
	if b == nil {
		return nil
	}
	var out []string
	for _, n := range b.notes {
		out = append(out, fmt.Sprintf(n.format, append([]any{n.count}, n.first...)...))
	}
	return out
}

// idOr returns an id as the file has it.
func idOr(key string, id int64) string {
	if key != "" {
		return strconv.Quote(key)
	}
	return strconv.FormatInt(id, 10)
}
