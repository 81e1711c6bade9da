package coco

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

var errNoData = errors.New("coco: there is no data set, or no index of it")

// An Index finds the records of a Dataset by id. It holds places in the data set's
// lists and is out of date once these change.
type Index struct {
	images, categories, annotations map[int64]int
	ofImage, ofCategory             groups
}

// Index returns an index of d. Ids that occur twice and annotations of unknown
// images or categories are a Problems error.
func (d *Dataset) Index() (*Index, error) {
	if d == nil {
		return nil, errNoData
	}
	ix, problems := d.index()
	if len(problems) > 0 {
		return nil, problems
	}
	return ix, nil
}

func (d *Dataset) index() (*Index, Problems) {
	var problems Problems
	if d == nil {
		d = &Dataset{}
	}
	ix := &Index{}
	ix.images = places(&problems, "image", d.Images)
	ix.categories = places(&problems, "category", d.Categories)
	ix.annotations = places(&problems, "annotation", d.Annotations)
	image, category := make([]int32, len(d.Annotations)), make([]int32, len(d.Annotations))
	for i := range d.Annotations {
		a := &d.Annotations[i]
		m, ok := ix.images[a.ImageID]
		if !ok {
			m = -1
			problems.at("annotation", i, a, "image %s is not in the data set", idText(a.ImageID, a.Extra, "image_id"))
		}
		c, ok := ix.categories[a.CategoryID]
		if !ok {
			c = -1
			problems.at("annotation", i, a, "category %s is not in the data set", idText(a.CategoryID, a.Extra, "category_id"))
		}
		image[i], category[i] = int32(m), int32(c)
	}
	ix.ofImage = group(image, len(d.Images))
	ix.ofCategory = group(category, len(d.Categories))
	return ix, problems
}

// places maps ids to places in a list. Of two records with one id the first counts.
func places[T any, P interface {
	*T
	identified
}](problems *Problems, kind string, list []T) map[int64]int {
	out := make(map[int64]int, len(list))
	for i := range list {
		n, _ := P(&list[i]).id()
		if first, twice := out[n]; twice {
			problems.at(kind, i, P(&list[i]), "the id is that of record %d, too", P(&list[first]).number(first))
			continue
		}
		out[n] = i
	}
	return out
}

// idText returns an id as it is written, if extra keeps it as a string.
func idText(id int64, extra map[string]json.RawMessage, field string) string {
	if raw, ok := extra[field]; ok {
		return string(raw)
	}
	return strconv.FormatInt(id, 10)
}

// Image returns the place of an image in Dataset.Images.
func (ix *Index) Image(id int64) (int, bool) {
	i, ok := ix.images[id]
	return i, ok
}

// Category returns the place of a category in Dataset.Categories.
func (ix *Index) Category(id int64) (int, bool) {
	i, ok := ix.categories[id]
	return i, ok
}

// Annotation returns the place of an annotation in Dataset.Annotations.
func (ix *Index) Annotation(id int64) (int, bool) {
	i, ok := ix.annotations[id]
	return i, ok
}

// OfImage returns the places of an image's annotations, ascending. The caller
// must not change it.
func (ix *Index) OfImage(id int64) []int32 {
	if i, ok := ix.images[id]; ok {
		return ix.ofImage.of(i)
	}
	return nil
}

// OfCategory returns the places of a category's annotations, ascending. The
// caller must not change it.
func (ix *Index) OfCategory(id int64) []int32 {
	if i, ok := ix.categories[id]; ok {
		return ix.ofCategory.of(i)
	}
	return nil
}

// groups are the places of records by group: group g has
// places[starts[g]:starts[g+1]], ascending.
type groups struct{ starts, places []int32 }

// group sorts records 0, 1, … by the group of each and leaves out group -1.
func group(of []int32, n int) groups {
	g := groups{starts: make([]int32, n+1)}
	for _, i := range of {
		if i >= 0 {
			g.starts[i+1]++
		}
	}
	for i := range n {
		g.starts[i+1] += g.starts[i]
	}
	g.places = make([]int32, g.starts[n])
	next := slices.Clone(g.starts)
	for place, i := range of {
		if i >= 0 {
			g.places[next[i]] = int32(place)
			next[i]++
		}
	}
	return g
}

func (g groups) of(i int) []int32 {
	from, to := g.starts[i], g.starts[i+1]
	return g.places[from:to:to]
}

// byID returns the places of n records in ascending order of their ids.
func byID(n int, id func(i int) int64) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(id(a), id(b)) })
	return out
}
