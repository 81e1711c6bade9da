package coco

import "slices"

// A record is the number of a record in its file, from 1. It is 0 if the record's place in
// its list says the same, or if it comes from no file: then the number is that of the place.
type record int32

// number returns the number from 0 of the record that is at place i of its list.
func (r record) number(i int) int {
	if r > 0 {
		return int(r) - 1
	}
	return i
}

// numbered notes that a record with number n is at place i of its list.
func (r *record) numbered(n, i int) {
	if *r = 0; n != i {
		*r = record(n + 1)
	}
}

// fieldBits say which fields a record has in its file, where their zero values do not say it.
// A record that comes from no file has none; results, which have no fields by default, lack
// fromFile.
type fieldBits uint16

const fromFile fieldBits = 1 << 15

// Bits of licences.
const (
	hasLicenseID fieldBits = 1 << iota
	hasLicenseName
	hasURL
)

// Bits of images.
const (
	hasWidth fieldBits = 1 << iota
	hasHeight
	hasFileName
	hasLicense
	hasCOCOURL
	hasFlickrURL
	hasDate
)

// Bits of annotations and results.
const (
	hasSegmentation fieldBits = 1 << iota
	hasBox
	hasCrowd
	hasIgnore
	ofResult // it was made of a result, with whose other fields it shares Extra
	hasResultID
)

// Bits of categories.
const (
	hasName fieldBits = 1 << iota
	hasSupercategory
	hasFrequency
	hasSynset
	hasDefinition
	hasImageCount
	hasInstanceCount
)

// writes reports whether a field is written: if its value is not zero or the file has it, and
// by default also in records that come from no file.
func (b fieldBits) writes(bit fieldBits, zero, byDefault bool) bool {
	return !zero || b&bit != 0 || byDefault && b&fromFile == 0
}

// identified is a record of a data set or a results file.
type identified interface {
	id() (id int64, key string)
	number(i int) int
	numbered(n, i int)
}

// keep returns the records of a list that are kept, without changing it. They keep their
// numbers.
func keep[T any, P interface {
	*T
	identified
}](list []T, keep func(i int) bool) []T {
	out := make([]T, 0, len(list))
	for i := range list {
		if keep(i) {
			v := list[i]
			P(&v).numbered(P(&v).number(i), len(out))
			out = append(out, v)
		}
	}
	return out
}

// Limit leaves the first n images of d and their annotations. All stay if d has no more.
func (d *Dataset) Limit(n int) {
	if n < 0 || n >= len(d.Images) {
		return
	}
	d.Images = slices.Clip(d.Images[:n])
	kept := map[int64]bool{}
	for i := range d.Images {
		kept[d.Images[i].ID] = true
	}
	d.Annotations = keep(d.Annotations, func(i int) bool { return kept[d.Annotations[i].ImageID] })
}
