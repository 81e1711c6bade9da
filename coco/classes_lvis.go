package coco

import (
	_ "embed"
	"strconv"
	"strings"
)

// lvisTable lists the categories of LVIS v1, one per line: id, name, and number of
// training images with it.
//
//go:embed lvis_v1.tsv
var lvisTable string

// LVISClasses returns the 1203 categories of LVIS v1 in the order of their ids,
// which are 1 to 1203, with their frequency group and the number of training images
// that show one. A detector trained on LVIS numbers them from 0: its class i is
// element i.
func LVISClasses() []Category {
	out := make([]Category, 0, 1203)
	for line := range strings.Lines(lvisTable) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		id, _ := strconv.ParseInt(field[0], 10, 64)
		count, _ := strconv.Atoi(field[2])
		frequency := "f"
		if count <= 10 {
			frequency = "r"
		} else if count <= 100 {
			frequency = "c"
		}
		out = append(out, Category{ID: id, Name: field[1], Frequency: frequency, ImageCount: count})
	}
	return out
}
