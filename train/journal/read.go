package journal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/diffusioninst/go/internal/regular"
)

// A Series is one column of a table.
type Series struct {
	Name   string
	Points []Point // by ascending step; empty cells are left out
}

// A Point is a value at a step.
type Point struct {
	Step  int
	Time  time.Time // of day, in UTC
	Value float64   // may be NaN or infinite
}

// Read reads a table that a Journal wrote, also while it is being written: a last
// line that is not complete yet is left out. Errors name the file and the line.
func Read(path string) ([]Series, error) {
	text, err := regular.ReadFile(path, maxBytes)
	if err != nil {
		return nil, wrap(err)
	}
	return parse(path, text)
}

func parse(path string, text []byte) ([]Series, error) {
	p := newParser(path, text)
	names, err := p.header()
	if err != nil {
		return nil, err
	}
	series := make([]Series, len(names))
	for i, name := range names {
		series[i].Name = name
	}
	for {
		step, cells, err := p.row()
		if err != nil {
			return nil, err
		}
		if step < 0 {
			return series, nil
		}
		at, err := time.Parse(time.RFC3339, cells[0])
		if err != nil {
			return nil, p.fail("%q is not a time", cells[0])
		}
		for i, text := range cells[1:] {
			if text == "" {
				continue
			}
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, p.fail("%s: %q is not a number", names[i], text)
			}
			series[i].Points = append(series[i].Points, Point{step, at, v})
		}
	}
}

// header reads the names of the columns behind step and time, nil in an empty file.
func (p *parser) header() ([]string, error) {
	cells, err := p.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %s: %w", p.path, err)
	}
	if len(cells) < 2 || cells[0] != stepColumn || cells[1] != timeColumn {
		return nil, p.fail("not a journal's table, whose first columns are %s and %s", stepColumn, timeColumn)
	}
	names := make([]string, 0, len(cells))
	for _, name := range cells[2:] {
		if slices.Contains(names, name) || checkName(name) != nil {
			return nil, p.fail("%q cannot be the name of a column", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// row reads the step of the next row and the cells behind it, which hold until the next
// call; −1 at the end.
func (p *parser) row() (step int, cells []string, err error) {
	cells, err = p.csv.Read()
	if errors.Is(err, io.EOF) {
		return -1, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("journal: %s: %w", p.path, err)
	}
	step, err = strconv.Atoi(cells[0])
	if err != nil || step <= p.last {
		return 0, nil, p.fail("%q is not a step after %d", cells[0], p.last)
	}
	p.last = step
	return step, cells[1:], nil
}
