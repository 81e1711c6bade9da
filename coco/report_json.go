package coco

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// MarshalJSON writes the metrics by name and, as per_category_AP, the AP of each
// category by name, null where there is nothing to find:
//
//	{"AP": 0.123, "AP50": 0.285, …, "per_category_AP": {"disc": 0.138, "absent": null}}
func (r *Report) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range r.Metrics {
		fmt.Fprintf(&b, "%s:%s,", appendString(nil, m.Name), strconv.FormatFloat(m.Value, 'g', -1, 64))
	}
	b.WriteString(`"per_category_AP":{`)
	names := map[string]bool{}
	for i, c := range r.Categories {
		name := c.Name
		if names[name] { // two categories of one name
			name = fmt.Sprintf("%s (%d)", c.Name, c.ID)
		}
		names[name] = true
		if i > 0 {
			b.WriteByte(',')
		}
		value := "null"
		if ap, _ := c.Metric("AP"); ap > -1 {
			value = strconv.FormatFloat(ap, 'g', -1, 64)
		}
		fmt.Fprintf(&b, "%s:%s", appendString(nil, name), value)
	}
	b.WriteString("}}")
	return b.Bytes(), nil
}

// MarshalJSON writes the category's id, name, counts and metrics, null where there
// is nothing to find.
func (c CategoryReport) MarshalJSON() ([]byte, error) {
	values := map[string]*float64{}
	for _, m := range c.Metrics {
		values[m.Name] = nil
		if m.Value > -1 {
			values[m.Name] = &m.Value
		}
	}
	return json.Marshal(struct {
		ID         int64               `json:"id"`
		Name       string              `json:"name"`
		Objects    int                 `json:"objects"`
		Detections int                 `json:"detections"`
		Metrics    map[string]*float64 `json:"metrics"`
	}{c.ID, c.Name, c.Objects, c.Detections, values})
}

// WriteText writes the metrics as a table, in percent, and with perCategory one
// row for each category.
func (r *Report) WriteText(w io.Writer, perCategory bool) error {
	if r == nil {
		return errors.New("coco: there is no report")
	}
	t := tabwriter.NewWriter(nilcheck.Writer(w), 0, 0, 2, ' ', 0)
	for _, m := range r.Metrics {
		fmt.Fprintf(t, "%s\t%s\n", m.Name, percent(m.Value))
	}
	if perCategory && len(r.Categories) > 0 {
		fmt.Fprint(t, "\ncategory\tobjects\tdetections")
		for _, m := range r.Categories[0].Metrics {
			fmt.Fprintf(t, "\t%s", m.Name)
		}
		for _, c := range r.Categories {
			fmt.Fprintf(t, "\n%s\t%d\t%d", c.Name, c.Objects, c.Detections)
			for _, m := range c.Metrics {
				fmt.Fprintf(t, "\t%s", percent(m.Value))
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func percent(v float64) string {
	if v <= -1 {
		return "–"
	}
	return strconv.FormatFloat(100*v, 'f', 2, 64)
}
