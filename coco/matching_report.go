package coco

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/diffusioninst/go/internal/nilcheck"
)

// WriteText writes the figures as tables, in percent: by IoU threshold, then of all objects, of
// each kind and of each size in a row, and with perCategory of each category.
func (m *Matching) WriteText(w io.Writer, perCategory bool) error {
	if m == nil {
		return errors.New("coco: there is no matching")
	}
	t := tabwriter.NewWriter(nilcheck.Writer(w), 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "IoU\tAP\tF1\tprecision\trecall\tmean IoU\tTP\tFP\tFN\n")
	for _, c := range m.All.Counts {
		fmt.Fprintf(t, "%.2f\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", c.IoU, percent(c.AP()), percent(c.F1()), percent(c.Precision()), percent(c.Recall()), percent(c.MeanIoU()), c.TP, c.FP, c.FN)
	}
	groups := []struct {
		name string
		list []MatchGroup
	}{{"", []MatchGroup{m.All}}, {"kind", m.Kinds}, {"size", m.Areas}}
	if perCategory {
		groups = append(groups, struct {
			name string
			list []MatchGroup
		}{"category", m.Categories})
	}
	for _, g := range groups {
		if len(g.list) == 0 {
			continue
		}
		fmt.Fprintf(t, "\n%s\timages\tobjects\tdetections\tAP .5–.9\tAP50\tF1\tprecision\trecall\tPQ\tSQ\tRQ\tDSB\n", g.name)
		for _, v := range g.list {
			c, ok := v.At(0.5)
			if !ok {
				c = MatchCount{}
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%d", v.Name, v.Images, v.Objects, v.Detections)
			for _, x := range []float64{v.MeanAP(), c.AP(), c.F1(), c.Precision(), c.Recall(), v.PQ, v.SQ, v.RQ, v.DSB} {
				fmt.Fprintf(t, "\t%s", percent(x))
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}

// MarshalJSON writes score, all, kinds, areas and categories; see MatchGroup.MarshalJSON.
func (m *Matching) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("null"), nil
	}
	return json.Marshal(struct {
		Score      float64      `json:"score"`
		All        MatchGroup   `json:"all"`
		Kinds      []MatchGroup `json:"kinds,omitempty"`
		Areas      []MatchGroup `json:"areas"`
		Categories []MatchGroup `json:"categories"`
	}{m.Score, m.All, m.Kinds, m.Areas, m.Categories})
}

// MarshalJSON writes the figures by name, 0 to 1, null where there is nothing to find.
func (g MatchGroup) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name       string       `json:"name"`
		Images     int          `json:"images"`
		Objects    int          `json:"objects"`
		Detections int          `json:"detections"`
		MeanAP     *float64     `json:"mean_AP"`
		PQ         *float64     `json:"PQ"`
		SQ         *float64     `json:"SQ"`
		RQ         *float64     `json:"RQ"`
		DSB        *float64     `json:"DSB"`
		Counts     []MatchCount `json:"counts"`
	}{g.Name, g.Images, g.Objects, g.Detections, known(g.MeanAP()), known(g.PQ), known(g.SQ), known(g.RQ), known(g.DSB), g.Counts})
}

// MarshalJSON writes the counts and what is made of them, null where there is nothing to find.
func (c MatchCount) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		IoU       float64  `json:"iou"`
		TP        int      `json:"TP"`
		FP        int      `json:"FP"`
		FN        int      `json:"FN"`
		AP        *float64 `json:"AP"`
		F1        *float64 `json:"F1"`
		Precision *float64 `json:"precision"`
		Recall    *float64 `json:"recall"`
		MeanIoU   *float64 `json:"mean_iou"`
		Quality   *float64 `json:"quality"`
	}{c.IoU, c.TP, c.FP, c.FN, known(c.AP()), known(c.F1()), known(c.Precision()), known(c.Recall()), known(c.MeanIoU()), known(c.Quality())})
}

// known returns nil in place of -1.
func known(v float64) *float64 {
	if v <= -1 {
		return nil
	}
	return &v
}
