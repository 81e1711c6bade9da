package detectron2

import (
	_ "embed"
	"fmt"
	"math"
	"reflect"
	"sync"
)

//go:embed defaults.yaml
var defaultsText []byte

// defaults returns every key that Detectron2 and the project know.
var defaults = sync.OnceValue(func() *section {
	s, _, err := parse("defaults.yaml", defaultsText)
	if err != nil {
		panic(err)
	}
	return s
})

var configType = reflect.TypeFor[Config]()

// fill sets every field of c from tree, or from the defaults if tree does not set it.
func fill(c *Config, tree *section) []Problem {
	f := &filler{}
	f.section(reflect.ValueOf(c).Elem(), tree, defaults(), "")
	return f.problems
}

type filler struct{ problems []Problem }

func (f *filler) section(into reflect.Value, tree, standard *section, path string) {
	for i := range into.NumField() {
		key := into.Type().Field(i).Tag.Get("key")
		field, at := into.Field(i), join(path, key)
		v, d := tree.values[key], standard.values[key]
		if field.Kind() == reflect.Struct {
			below, _ := d.data.(*section)
			own := newSection()
			if v != nil && v.data != nil {
				s, ok := v.data.(*section)
				if !ok {
					f.problems = append(f.problems, Problem{v.file, v.line, at, fmt.Sprintf("want a section, got %s", v)})
					continue
				}
				own = s
			}
			f.section(field, own, below, at)
			continue
		}
		if v == nil {
			v = d
		}
		if want := set(field, v); want != "" {
			f.problems = append(f.problems, Problem{v.file, v.line, at, fmt.Sprintf("want %s, got %s", want, v)})
		}
	}
}

// set stores v in field. If v does not fit it returns what would.
func set(field reflect.Value, v *value) (want string) {
	switch field.Kind() {
	case reflect.Bool:
		if b, ok := v.data.(bool); ok {
			field.SetBool(b)
			return ""
		}
		return "True or False"
	case reflect.Int:
		switch n := v.data.(type) {
		case int64:
			field.SetInt(n)
			return ""
		case float64: // 9e4
			if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
				field.SetInt(int64(n))
				return ""
			}
		}
		return "an integer"
	case reflect.Float64:
		switch n := v.data.(type) {
		case int64:
			field.SetFloat(float64(n))
			return ""
		case float64:
			field.SetFloat(n)
			return ""
		}
		return "a number"
	case reflect.String:
		if v.text != "" {
			field.SetString(v.text)
			return ""
		}
		switch s := v.data.(type) {
		case string:
			field.SetString(s)
			return ""
		case nil:
			field.SetString("")
			return ""
		}
		return "text"
	case reflect.Pointer:
		if v.data == nil {
			field.SetZero()
			return ""
		}
		p := reflect.New(field.Type().Elem())
		if want := set(p.Elem(), v); want != "" {
			return want + " or null"
		}
		field.Set(p)
		return ""
	case reflect.Slice, reflect.Array:
		return setList(field, v)
	}
	return fmt.Sprintf("something else than %s", field.Type())
}

func setList(field reflect.Value, v *value) (want string) {
	items, ok := v.data.([]*value)
	if field.Kind() == reflect.Array && (!ok || len(items) != field.Len()) {
		return fmt.Sprintf("a list of %d", field.Len())
	}
	if !ok {
		return "a list"
	}
	list := field
	if field.Kind() == reflect.Slice {
		list = reflect.MakeSlice(field.Type(), len(items), len(items))
	}
	for i, item := range items {
		if want := set(list.Index(i), item); want != "" {
			return fmt.Sprintf("%s as item %d of the list", want, i+1)
		}
	}
	field.Set(list)
	return ""
}
