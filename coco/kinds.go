package coco

import (
	"encoding/json"
	"fmt"
)

// Kinds returns a function that says of what kind an image is, by a field of its record, such
// as "kind", that this package has no use for: a string as it is, any other value as written, and "" without the
// field: such images are in no kind. That no image has the field is an error.
func (d *Dataset) Kinds(field string) (func(*Image) string, error) {
	if d == nil {
		return nil, errNoData
	}
	of := func(m *Image) string {
		raw := m.Extra[field]
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return text
		}
		return string(raw)
	}
	for i := range d.Images {
		if of(&d.Images[i]) != "" {
			return of, nil
		}
	}
	return nil, fmt.Errorf("coco: no image has a field %q that says of what kind it is", field)
}
