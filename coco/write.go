package coco

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/nilcheck"
)

// Save writes d to the file at path, which it replaces as a whole or, on an error, leaves
// as it was. See Dataset.Write.
func (d *Dataset) Save(path string) error { return saveFile(path, d.write) }

// SaveResults writes results to the file at path, as Dataset.Save does. See WriteResults.
func SaveResults(path string, results []Result) error {
	return saveFile(path, func(w io.Writer) error { return writeResults(w, results) })
}

// saveFile replaces a file as a whole: until everything is written the old one stays.
func saveFile(path string, write func(io.Writer) error) error {
	return prefixed(atomicfile.Output(context.Background(), path, write))
}

// prefixed puts the package's name before an error.
func prefixed(err error) error { return inFile("", err) }

// inFile puts the package's name and the path of a file, if any, before an error.
func inFile(path string, err error) error {
	problems, ok := err.(Problems)
	switch {
	case err == nil:
		return nil
	case ok && path == "":
		return problems
	case ok:
		return &fileError{path, problems}
	case path == "":
		return fmt.Errorf("coco: %w", err)
	}
	return fmt.Errorf("coco: %s: %w", path, err)
}

// Write writes d as a COCO or LVIS file, one record per line, numbers in the shortest
// form that reads back the same. Numbers that are not finite are an error, but areas that
// are not are left out. Records that were read keep the fields that their file has, empty
// ones too, and get no others.
func (d *Dataset) Write(w io.Writer) error { return prefixed(d.write(w)) }

func (d *Dataset) write(w io.Writer) error {
	if d == nil {
		return errors.New("there is no data set")
	}
	e := &encoder{w: bufio.NewWriterSize(nilcheck.Writer(w), 1<<16), images: map[int64]json.RawMessage{}, categories: map[int64]json.RawMessage{}}
	for i := range d.Images {
		if key := d.Images[i].Extra["id"]; key != nil {
			e.images[d.Images[i].ID] = key
		}
	}
	for i := range d.Categories {
		if key := d.Categories[i].Extra["id"]; key != nil {
			e.categories[d.Categories[i].ID] = key
		}
	}
	e.open()
	if d.Info != nil {
		e.key("info")
		e.raw(d.Info)
	}
	writeList(e, "licenses", d.Licenses, e.license)
	writeList(e, "images", d.Images, e.image)
	writeList(e, "annotations", d.Annotations, e.annotation)
	writeList(e, "categories", d.Categories, e.category)
	e.extra(d.Extra)
	e.b = append(e.b, "}\n"...)
	return e.close("data set")
}

// WriteResults writes a results file as Detectron2 does: image_id, category_id,
// bbox (x, y, width, height), score, and segmentation with the size and the
// compressed run lengths. A result without a box or a mask is written without.
// Numbers that are not finite are an error.
func WriteResults(w io.Writer, results []Result) error {
	return prefixed(writeResults(w, results))
}

func writeResults(w io.Writer, results []Result) error {
	e := &encoder{w: bufio.NewWriterSize(nilcheck.Writer(w), 1<<16)}
	e.b = append(e.b, '[')
	writeRecords(e, "result", results, e.result)
	e.b = append(e.b, "]\n"...)
	return e.close("results")
}

// MarshalJSON writes the result as WriteResults does.
func (r Result) MarshalJSON() ([]byte, error) {
	e := &encoder{}
	e.result(&r)
	return e.b, e.err
}

// An encoder collects text in b and passes it on record by record.
type encoder struct {
	w   *bufio.Writer
	b   []byte
	err error

	names []string // of the fields of the object being written

	// Ids of images and categories that are strings in the file.
	images, categories map[int64]json.RawMessage
}

func (e *encoder) flush() {
	if e.err == nil {
		_, e.err = e.w.Write(e.b)
	}
	e.b = e.b[:0]
}

func (e *encoder) close(what string) error {
	e.flush()
	if e.err == nil {
		e.err = e.w.Flush()
	}
	if e.err != nil {
		return fmt.Errorf("%s: %w", what, e.err)
	}
	return nil
}

func writeList[T any](e *encoder, name string, list []T, write func(*T)) {
	if list == nil {
		return
	}
	e.key(name)
	outer := e.names
	e.names = nil
	e.b = append(e.b, '[')
	writeRecords(e, name, list, write)
	e.b = append(e.b, ']')
	e.names = outer
}

func writeRecords[T any](e *encoder, name string, list []T, write func(*T)) {
	for i := range list {
		if e.err != nil {
			return
		}
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(e.b, '\n')
		write(&list[i])
		if e.err != nil {
			e.err = fmt.Errorf("%s: record %d: %w", name, i, e.err)
		}
		e.flush()
	}
}

func (e *encoder) license(l *License) {
	e.open()
	if l.writes(hasLicenseID, l.ID == 0, true) {
		e.own("id", l.ID, l.Extra)
	}
	e.text("name", l.Name, l.fieldBits, hasLicenseName)
	e.text("url", l.URL, l.fieldBits, hasURL)
	e.extra(l.Extra)
	e.b = append(e.b, '}')
}

func (e *encoder) image(m *Image) {
	e.open()
	e.own("id", m.ID, m.Extra)
	if m.writes(hasWidth, m.Width == 0, true) {
		e.id("width", int64(m.Width))
	}
	if m.writes(hasHeight, m.Height == 0, true) {
		e.id("height", int64(m.Height))
	}
	e.text("file_name", m.FileName, m.fieldBits, hasFileName)
	if m.writes(hasLicense, m.License == 0, false) {
		e.id("license", m.License)
	}
	e.text("coco_url", m.COCOURL, m.fieldBits, hasCOCOURL)
	e.text("flickr_url", m.FlickrURL, m.fieldBits, hasFlickrURL)
	e.text("date_captured", m.DateCaptured, m.fieldBits, hasDate)
	e.ids("neg_category_ids", m.NegCategoryIDs, m.Extra)
	e.ids("not_exhaustive_category_ids", m.NotExhaustiveCategoryIDs, m.Extra)
	e.extra(m.Extra)
	e.b = append(e.b, '}')
}

func (e *encoder) category(c *Category) {
	e.open()
	e.own("id", c.ID, c.Extra)
	if !kept(c.Extra, "name") && c.writes(hasName, c.Name == "", true) {
		e.key("name")
		e.b = appendString(e.b, c.Name)
	}
	e.text("supercategory", c.Supercategory, c.fieldBits, hasSupercategory)
	e.text("frequency", c.Frequency, c.fieldBits, hasFrequency)
	e.text("synset", c.Synset, c.fieldBits, hasSynset)
	if c.Synonyms != nil {
		e.key("synonyms")
		e.b = append(e.b, '[')
		for i, s := range c.Synonyms {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.b = appendString(e.b, s)
		}
		e.b = append(e.b, ']')
	}
	e.text("def", c.Definition, c.fieldBits, hasDefinition)
	lvis := c.Frequency != "" || c.ImageCount != 0 || c.InstanceCount != 0
	if c.writes(hasImageCount, c.ImageCount == 0, lvis) {
		e.own("image_count", int64(c.ImageCount), c.Extra)
	}
	if c.writes(hasInstanceCount, c.InstanceCount == 0, lvis) {
		e.own("instance_count", int64(c.InstanceCount), c.Extra)
	}
	e.extra(c.Extra)
	e.b = append(e.b, '}')
}

func (e *encoder) annotation(a *Annotation) {
	e.open()
	e.own("id", a.ID, a.Extra)
	e.reference("image_id", a.ImageID, e.images, a.Extra)
	e.reference("category_id", a.CategoryID, e.categories, a.Extra)
	if a.writes(hasCrowd, !a.Crowd, true) {
		e.flag("iscrowd", a.Crowd)
	}
	if a.writes(hasIgnore, !a.Ignore, false) {
		e.flag("ignore", a.Ignore)
	}
	if a.HasArea && isFinite(a.Area) {
		e.key("area")
		e.number(a.Area)
	}
	e.box(&a.BBox, a.HasBBox, a.fieldBits)
	e.segmentation(&a.Segmentation, a.fieldBits)
	e.extra(a.Extra)
	e.b = append(e.b, '}')
}

func (e *encoder) result(r *Result) {
	e.open()
	e.own("image_id", r.ImageID, r.Extra)
	e.own("category_id", r.CategoryID, r.Extra)
	e.box(&r.BBox, r.HasBBox, r.fieldBits)
	e.key("score")
	e.number(r.Score)
	e.segmentation(&r.Segmentation, r.fieldBits)
	e.extra(r.Extra)
	e.b = append(e.b, '}')
}

// box writes a box, and an empty list for one that is empty in the file, too.
func (e *encoder) box(box *[4]float64, has bool, bits fieldBits) {
	switch {
	case has:
		e.key("bbox")
		e.numbers(box[:])
	case bits&hasBox != 0:
		e.key("bbox")
		e.b = append(e.b, "[]"...)
	}
}

func (e *encoder) segmentation(s *Segmentation, bits fieldBits) {
	switch {
	case s.Empty():
		if bits&hasSegmentation != 0 {
			e.key("segmentation")
			e.b = append(e.b, "[]"...)
		}
		return
	case s.unread != nil:
		if e.err == nil {
			e.err = errors.New(s.faults()[0])
		}
		return
	case len(s.Polygons) > 0:
		e.key("segmentation")
		e.b = append(e.b, '[')
		for i, polygon := range s.Polygons {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.numbers(polygon)
		}
		e.b = append(e.b, ']')
		return
	}
	e.key("segmentation")
	e.b = append(e.b, `{"size":[`...)
	e.b = strconv.AppendInt(e.b, int64(s.Height), 10)
	e.b = append(e.b, ',')
	e.b = strconv.AppendInt(e.b, int64(s.Width), 10)
	e.b = append(e.b, `],"counts":`...)
	if s.Counts == nil {
		e.b = appendString(e.b, s.Compressed)
	} else {
		e.b = append(e.b, '[')
		for i, c := range s.Counts {
			if i > 0 {
				e.b = append(e.b, ',')
			}
			e.b = strconv.AppendUint(e.b, uint64(c), 10)
		}
		e.b = append(e.b, ']')
	}
	e.b = append(e.b, '}')
}

// open starts an object.
func (e *encoder) open() {
	e.b = append(e.b, '{')
	e.names = e.names[:0]
}

// key starts a field.
func (e *encoder) key(name string) {
	e.names = append(e.names, name)
	if n := len(e.b); n > 0 && e.b[n-1] != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(appendString(e.b, name), ':')
}

// own writes a field unless extra has another form of it.
func (e *encoder) own(name string, v int64, extra map[string]json.RawMessage) {
	if !kept(extra, name) {
		e.id(name, v)
	}
}

// reference writes the id of an image or a category, which may be a string, unless extra
// has another form of it.
func (e *encoder) reference(name string, v int64, keys map[int64]json.RawMessage, extra map[string]json.RawMessage) {
	if key, ok := keys[v]; ok && !kept(extra, name) {
		e.key(name)
		e.raw(key)
		return
	}
	e.own(name, v, extra)
}

func (e *encoder) id(name string, v int64) {
	e.key(name)
	e.b = strconv.AppendInt(e.b, v, 10)
}

// text writes a field, and an empty one only if the file has it.
func (e *encoder) text(name, v string, bits, bit fieldBits) {
	if bits.writes(bit, v == "", false) {
		e.key(name)
		e.b = appendString(e.b, v)
	}
}

func (e *encoder) flag(name string, v bool) {
	e.key(name)
	if v {
		e.b = append(e.b, '1')
	} else {
		e.b = append(e.b, '0')
	}
}

// ids writes a list of ids of categories unless extra has another form of it.
func (e *encoder) ids(name string, ids []int64, extra map[string]json.RawMessage) {
	if ids == nil || kept(extra, name) {
		return
	}
	e.key(name)
	e.b = appendIDs(e.b, ids, e.categories)
}

// appendIDs appends a list of ids, which may be strings.
func appendIDs(b []byte, ids []int64, keys map[int64]json.RawMessage) []byte {
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		if key := keys[id]; key != nil {
			b = append(b, key...)
		} else {
			b = strconv.AppendInt(b, id, 10)
		}
	}
	return append(b, ']')
}

func (e *encoder) numbers(vs []float64) {
	e.b = append(e.b, '[')
	for i, v := range vs {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.number(v)
	}
	e.b = append(e.b, ']')
}

func (e *encoder) number(v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		if e.err == nil {
			e.err = fmt.Errorf("%v is not a finite number", v)
		}
		v = 0
	}
	form := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	e.b = strconv.AppendFloat(e.b, v, form, -1, 64)
}

// extra writes the unknown fields in the order of their names, without those that are written
// already.
func (e *encoder) extra(fields map[string]json.RawMessage) {
	written := len(e.names)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(e.names[:written], name) {
			continue
		}
		e.key(name)
		e.raw(fields[name])
	}
}

func (e *encoder) raw(text json.RawMessage) {
	if !json.Valid(text) {
		if e.err == nil {
			e.err = fmt.Errorf("%.40q is not JSON", text)
		}
		text = json.RawMessage("null")
	}
	e.b = append(e.b, text...)
}

// appendString appends v in quotes.
func appendString(b []byte, v string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
