package detectron2

import (
	"fmt"
	"reflect"
	"strings"
)

// keyCheck finds unknown keys and settings without effect.
type keyCheck struct {
	tree     *section
	problems []Problem
	warnings []Warning
}

// walk compares tree with the known keys. typ is the struct that holds the section,
// nil for sections that are ignored.
func (k *keyCheck) walk(tree, known *section, typ reflect.Type, path string) {
	for _, key := range tree.keys {
		v, d, at := tree.values[key], known.values[key], join(path, key)
		field, bound, used := fieldOf(typ, key)
		switch {
		case d == nil && typ != nil:
			k.problems = append(k.problems, Problem{v.file, v.line, at, "unknown key" + suggest(known, key, path)})
		case d == nil:
			k.ignore(v, at, "unknown")
		default:
			below, isSection := d.data.(*section)
			if isSection {
				if sub, ok := v.data.(*section); ok {
					k.walk(sub, below, field, at)
				} else if v.data != nil && !bound {
					k.ignore(v, at, "a section by default")
				}
			} else if !used && !same(v, d) {
				k.ignore(v, at, "default "+d.String())
			}
		}
	}
}

func (k *keyCheck) ignore(v *value, key, why string) {
	k.warnings = append(k.warnings, Warning{v.file, v.line, key, fmt.Sprintf("%s (%s) has no effect on DiffusionInst here", v, why)})
}

// fieldOf returns the type of the field that holds key in the struct typ, or nil if it is not a struct; whether there is such a field;
// and whether anything reads it.
func fieldOf(typ reflect.Type, key string) (below reflect.Type, bound, used bool) {
	if typ == nil {
		return nil, false, false
	}
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Tag.Get("key") == key {
			if f.Type.Kind() == reflect.Struct {
				below = f.Type
			}
			return below, true, f.Tag.Get("unused") != "true"
		}
	}
	return nil, false, false
}

// suggest returns the known key that was probably meant: one of the same name in another
// section, or a neighbour that is spelled alike.
func suggest(known *section, key, path string) string {
	best := elsewhere(defaults(), configType, key, "")
	least := min(max(2, len(key)/3), len(key)-1) + 1
	if best != "" {
		return "; did you mean " + best + "?"
	}
	for _, k := range known.keys {
		if d := distance(strings.ToUpper(k), strings.ToUpper(key), least); d < least {
			best, least = join(path, k), d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// elsewhere returns a key of this name in another section that is read.
func elsewhere(known *section, typ reflect.Type, key, path string) string {
	for _, k := range known.keys {
		field, bound, _ := fieldOf(typ, k)
		if !bound {
			continue
		}
		if k == key {
			return join(path, k)
		}
		if below, ok := known.values[k].data.(*section); ok {
			if found := elsewhere(below, field, key, join(path, k)); found != "" {
				return found
			}
		}
	}
	return ""
}

// distance returns the Levenshtein distance of a and b, or limit if it is not below limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
