package coco

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Values of fields. A number may be written as a string.

func (p *parser) int(to *int64) (err error) {
	*to, err = p.integer()
	if err != nil && p.peek() == '"' {
		var v float64
		if v, err = p.quoted(); err == nil && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
			err = p.failf("%v is not a whole number", v)
		}
		*to = int64(v)
	}
	return err
}

func (p *parser) float(to *float64) (err error) {
	*to, err = p.number()
	if err != nil && p.peek() == '"' {
		*to, err = p.quoted()
	}
	return err
}

// quoted reads a string that is a number.
func (p *parser) quoted() (float64, error) {
	b, err := p.bytes()
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b))
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !isFinite(v) || strings.ContainsAny(text, "xXpP_nN") {
		return 0, p.failf("%.40q is not a number", text)
	}
	return v, nil
}

// size reads a whole number of pixels or things.
func (p *parser) size(to *int) error {
	var v int64
	err := p.int(&v)
	if err == nil && (v < 0 || v > math.MaxInt32) {
		v, err = 0, p.failf("%d is not a size", v)
	}
	*to = int(v)
	return err
}

// string reads a string that is used, such as a name. Of an unknown encoding it is a fault.
func (p *parser) string(to *string) (err error) {
	before := p.garbled
	*to, err = p.text()
	if p.garbled.count > before.count {
		p.faults = append(p.faults, fmt.Sprintf("%q: text that is not UTF-8, nor plainly Latin-1: save the file as UTF-8", *to))
		p.garbled = before
	}
	return err
}

// area reads a number, or NaN or an infinity as Python writes them. Of another value it
// reads nothing and returns false, so that the field is kept as it stands.
func (p *parser) area(a *Annotation) bool {
	m := p.mark()
	defer p.release(m)
	err := p.float(&a.Area)
	if err != nil {
		p.rewind(m)
		switch {
		case p.acceptWord("NaN"):
			a.Area, err = math.NaN(), nil
		case p.acceptWord("Infinity"), p.acceptWord("-Infinity"):
			a.Area, err = math.Inf(1), nil
		}
	}
	if a.HasArea = err == nil; !a.HasArea {
		a.Area = 0
	}
	return a.HasArea
}

// stringOrRaw reads a string into to. Of another value it reads nothing and returns
// false, so that the field is kept as it stands.
func (p *parser) stringOrRaw(to *string) (bool, error) {
	if p.peek() != '"' {
		return false, nil
	}
	text, err := p.text()
	*to = text
	return true, err
}

// textOrRaw is stringOrRaw, and sets a bit of has if it reads a string.
func (p *parser) textOrRaw(to *string, has *fieldBits, bit fieldBits) (bool, error) {
	known, err := p.stringOrRaw(to)
	if known {
		*has |= bit
	}
	return known, err
}

// encodings notes in what encodings strings were, if not in UTF-8.
func (p *parser) encodings() {
	for _, f := range []struct {
		foreign
		what string
	}{{p.latin1, "is not UTF-8 and was read as Latin-1"}, {p.garbled, "is neither UTF-8 nor plainly Latin-1"}} {
		if f.count > 0 {
			p.problems = append(p.problems, Problem{Record: "data set", Harmless: true,
				Message: fmt.Sprintf("byte %d: text %s: %s (%d such in the file): save it as UTF-8", f.at, f.what, f.text, f.count)})
		}
	}
}

// flag reads 0 or 1, or a truth value.
func (p *parser) flag(to *bool) error {
	if c := p.peek(); c == 't' || c == 'f' {
		word, err := p.raw()
		*to = string(word) == "true"
		return err
	}
	if p.peek() == '"' {
		return p.quotedFlag(to)
	}
	var v int64
	err := p.int(&v)
	if err == nil && v != 0 && v != 1 {
		err = p.failf("%d is not 0 or 1", v)
	}
	*to = v == 1
	return err
}

// quotedFlag reads a string that is a flag.
func (p *parser) quotedFlag(to *bool) error {
	b, err := p.bytes()
	if err != nil {
		return err
	}
	switch text := strings.ToLower(strings.TrimSpace(string(b))); text {
	case "1", "true":
		*to = true
	case "0", "false", "":
		*to = false
	default:
		return p.failf("%.40q is not 0 or 1", text)
	}
	return nil
}

// ids reads a list of ids; an empty one is not nil.
func (p *parser) ids(to *[]int64) error {
	*to = []int64{}
	return p.array(func(int) error {
		var v int64
		_, err := p.id(&v)
		*to = append(*to, v)
		return err
	})
}

// box reads four numbers, or none, and reports which in has.
func (p *parser) box(to *[4]float64, has *bool) error {
	n, nulls := 0, 0
	*to, *has = [4]float64{}, false
	err := p.array(func(i int) error {
		if i == len(to) {
			return p.failf("a box of more than 4 numbers")
		}
		n++
		if nulls == i && p.acceptNull() {
			nulls++
			return nil
		}
		return p.float(&to[i])
	})
	if err == nil && nulls == len(to) {
		return nil // four times null for none
	}
	if err == nil && nulls > 0 {
		err = p.failf("a box with null")
	}
	if err == nil && n != 0 && n != len(to) {
		err = p.failf("a box of %d numbers", n)
	}
	if err != nil {
		*to = [4]float64{}
		return err
	}
	*has = n != 0
	return nil
}

// block is the length of the pieces of memory that many polygons or masks share,
// which saves an allocation and a header for each.
const block = 1 << 13

// polygon reads a list of coordinates, or of points.
func (p *parser) polygon() ([]float64, error) {
	p.points = p.points[:0]
	err := p.array(p.coordinates)
	return share(&p.floats, p.points), err
}

// coordinates adds a number, or a list or object of two, to the points.
func (p *parser) coordinates(int) error {
	v, err := p.number()
	switch {
	case err == nil:
	case p.peek() == '[':
		n := 0
		err = p.array(func(int) error {
			n++
			var v float64
			err := p.float(&v)
			p.points = append(p.points, v)
			return err
		})
		if err == nil && n != 2 {
			err = p.failf("a point of %d numbers", n)
		}
		return err
	case p.peek() == '{':
		var point [2]float64
		if point, err = p.point(); err != nil {
			return err
		}
		p.points = append(p.points, point[:]...)
		return nil
	case p.peek() == '"':
		v, err = p.quoted()
	}
	p.points = append(p.points, v)
	return err
}

func (p *parser) runLengths(to *[]uint32) error {
	p.runs = p.runs[:0]
	err := p.array(func(int) error {
		var v int64
		err := p.int(&v)
		if err == nil && (v < 0 || v > math.MaxUint32) {
			err = p.failf("%d is not a run length", v)
		}
		p.runs = append(p.runs, uint32(v))
		return err
	})
	*to = share(&p.counts, p.runs)
	return err
}

// share copies v, small ones to the front of the block rest. The result is not
// nil and has no room to grow into its neighbour.
func share[T any](rest *[]T, v []T) []T {
	n := len(v)
	if n > block/8 {
		return append(make([]T, 0, n), v...)
	}
	if *rest == nil || n > len(*rest) {
		*rest = make([]T, block)
	}
	out := (*rest)[:n:n]
	*rest = (*rest)[n:]
	copy(out, v)
	return out
}

func (p *parser) rleSize(to *Segmentation) error {
	n := 0
	err := p.array(func(i int) error {
		n++
		switch i {
		case 0:
			return p.size(&to.Height)
		case 1:
			return p.size(&to.Width)
		}
		return p.failf("a size of more than 2 numbers")
	})
	if err == nil && n != 2 {
		err = p.failf("a size of %d numbers", n)
	}
	return err
}

// rle reads the object of a mask with the size and run lengths, plain or compressed.
func (p *parser) rle(to *Segmentation) error {
	var hasSize, hasCounts bool
	fields := 0
	err := p.object(func(name []byte) error {
		fields++
		switch string(name) {
		case "size":
			hasSize = true
			return p.rleSize(to)
		case "counts":
			hasCounts = true
			to.Counts, to.Compressed = nil, ""
			if p.peek() == '"' {
				err := p.string(&to.Compressed)
				to.Compressed = pythonBytes(to.Compressed)
				return err
			}
			return p.runLengths(&to.Counts)
		}
		p.skipped = p.skipped[:0]
		return p.skip(&p.skipped)
	})
	switch {
	case err != nil:
		return err
	case fields > 0 && (!hasSize || !hasCounts):
		return p.failf("a mask without size and counts")
	}
	return nil
}

// pythonBytes returns the text of a bytes object that Python printed, b'…', which no
// compressed run lengths begin like.
func pythonBytes(s string) string {
	if len(s) < 3 || s[0] != 'b' || s[1] != '\'' || s[len(s)-1] != '\'' {
		return s
	}
	return strings.ReplaceAll(s[2:len(s)-1], `\\`, `\`)
}
