package coco

import (
	"fmt"
	"strings"
)

// A Problem is something wrong with one record of a data set or a results file.
type Problem struct {
	Record  string // "image", "annotation", "category", "license" or "result"
	Index   int    // the record's place in its list, from 0
	ID      int64  // the record's id; for a result the id of its image
	Message string // what is wrong
}

// Error returns the record and what is wrong with it.
func (p Problem) Error() string {
	if p.Record == "result" {
		return fmt.Sprintf("result %d (image %d): %s", p.Index, p.ID, p.Message)
	}
	return fmt.Sprintf("%s %d (record %d): %s", p.Record, p.ID, p.Index, p.Message)
}

// Problems is a list of problems as an error. As an error it is never empty.
type Problems []Problem

// Error returns the first problems and the number of the others.
func (ps Problems) Error() string {
	const shown = 5
	var b strings.Builder
	b.WriteString("coco: ")
	for i, p := range ps {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(ps)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

func (ps *Problems) add(record string, index int, id int64, format string, args ...any) {
	*ps = append(*ps, Problem{Record: record, Index: index, ID: id, Message: fmt.Sprintf(format, args...)})
}
