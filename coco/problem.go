package coco

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Problem is something wrong with one record of a data set or a results file.
type Problem struct {
	// Record is "image", "annotation", "category", "license", "result"; "shape" of LabelMe,
	// "line" of YOLO, "mask" of a folder, "object" of a picture; or "data set" for the whole.
	Record  string
	Index   int    // the record's number in its file, from 0; of a line from 1
	ID      int64  // the record's id; for a result the id of its image
	Key     string // the id as the file has it if that is a string
	Message string // what is wrong

	// Harmless is true if the record is read as a whole all the same.
	Harmless bool
}

// Error returns the record and what is wrong with it.
func (p Problem) Error() string {
	id := strconv.FormatInt(p.ID, 10)
	if p.Key != "" {
		id = strconv.Quote(p.Key)
	}
	switch p.Record {
	case "data set":
		return p.Message
	case "line":
		return fmt.Sprintf("line %d: %s", p.Index, p.Message)
	case "shape", "mask", "object":
		if p.Key == "" {
			return fmt.Sprintf("%s %d: %s", p.Record, p.Index, p.Message)
		}
		return fmt.Sprintf("%s %d (%s): %s", p.Record, p.Index, p.Key, p.Message)
	case "result":
		return fmt.Sprintf("result %d (image %s): %s", p.Index, id, p.Message)
	}
	return fmt.Sprintf("%s %s (record %d): %s", p.Record, id, p.Index, p.Message)
}

// Problems is a list of problems as an error. As an error it is never empty.
type Problems []Problem

// Error returns the first problems and the number of the others.
func (ps Problems) Error() string { return "coco: " + ps.text() }

func (ps Problems) text() string {
	const shown = 5
	var b strings.Builder
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

// A fileError is the problems of a file as an error.
type fileError struct {
	path string
	Problems
}

func (e *fileError) Error() string { return "coco: " + e.path + ": " + e.text() }

// Unwrap returns the problems.
func (e *fileError) Unwrap() error { return e.Problems }

// err returns the problems as an error, nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

func (ps *Problems) add(record string, index int, id int64, format string, args ...any) {
	*ps = append(*ps, Problem{Record: record, Index: index, ID: id, Message: fmt.Sprintf(format, args...)})
}

// at adds a problem of the record at place i of its list.
func (ps *Problems) at(kind string, i int, record identified, format string, args ...any) {
	id, key := record.id()
	*ps = append(*ps, Problem{Record: kind, Index: record.number(i), ID: id, Key: key, Message: fmt.Sprintf(format, args...)})
}

// problem returns an error of the record at place i of its list.
func problem(kind string, i int, record identified, err error) error {
	var ps Problems
	ps.at(kind, i, record, "%v", err)
	return ps
}

// Split returns the problems that cost something, and those that are harmless.
func (ps Problems) Split() (costly, harmless Problems) {
	for _, p := range ps {
		if p.Harmless {
			harmless = append(harmless, p)
		} else {
			costly = append(costly, p)
		}
	}
	return costly, harmless
}

// sorted returns ps by kind of record and place.
func (ps Problems) sorted() Problems {
	kinds := []string{"data set", "license", "image", "category", "annotation"}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Record != b.Record {
			return slices.Index(kinds, a.Record) - slices.Index(kinds, b.Record)
		}
		return a.Index - b.Index
	})
	return ps
}

// AsProblems returns the problems that an error wraps, and whether it does.
func AsProblems(err error) (Problems, bool) {
	var ps Problems
	if errors.As(err, &ps) {
		return ps, true
	}
	return nil, false
}
