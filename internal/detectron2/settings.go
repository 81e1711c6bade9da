package detectron2

import (
	"fmt"
	"reflect"
)

// Settings returns the value of every key that something reads, as text, by its whole name, such as
// "SOLVER.BASE_LR".
func (c *Config) Settings() map[string]string {
	out := map[string]string{}
	addSettings(out, reflect.ValueOf(c).Elem(), "")
	return out
}

func addSettings(out map[string]string, from reflect.Value, path string) {
	for i := range from.NumField() {
		tag := from.Type().Field(i).Tag
		field, at := from.Field(i), join(path, tag.Get("key"))
		switch {
		case field.Kind() == reflect.Struct:
			addSettings(out, field, at)
		case tag.Get("unused") == "true":
		case field.Kind() == reflect.Pointer && field.IsNil():
			out[at] = "null"
		default:
			out[at] = fmt.Sprint(reflect.Indirect(field))
		}
	}
}
