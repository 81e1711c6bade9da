package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/diffusioninst/go/coco"
)

// A problemList is the problems of a data set, in the order in which they were found.
type problemList struct {
	lines []string
	kinds []string // of each: equal if the problems differ in names and numbers only
}

func (l *problemList) add(line string, err error) {
	l.lines = append(l.lines, flagWords.Replace(line))
	kind := err.Error()
	var p coco.Problem
	switch inner := errors.Unwrap(err); {
	case errors.As(err, &p):
		kind = p.Record + " " + p.Message
	case inner != nil: // without the file
		kind = inner.Error()
	}
	words := strings.Fields(kind)
	for i, word := range words {
		if strings.ContainsAny(word, `/\"'`) || strings.ContainsFunc(word, unicode.IsDigit) {
			words[i] = "#"
		}
	}
	l.kinds = append(l.kinds, strings.Join(words, " "))
}

// write prints the problems, of each kind the first few and the number of the others.
func (l *problemList) write(w io.Writer) {
	const shown = 5
	var order []string
	of := map[string][]string{}
	for i, kind := range l.kinds {
		if of[kind] == nil {
			order = append(order, kind)
		}
		of[kind] = append(of[kind], l.lines[i])
	}
	for _, kind := range order {
		lines := of[kind]
		first := lines
		if len(lines) > shown+1 {
			first = lines[:shown]
		}
		fmt.Fprintln(w, strings.Join(first, "\n"))
		if n := len(lines) - len(first); n > 0 {
			fmt.Fprintf(w, "… and %d more like these (--json lists all)\n", n)
		}
	}
}
