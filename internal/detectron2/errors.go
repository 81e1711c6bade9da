package detectron2

import (
	"fmt"
	"strings"
)

// Problem is something wrong, or without effect, at one place of a config file.
type Problem struct {
	File    string // empty where no file sets the key
	Line    int    // from 1; 0 where unknown
	Key     string // "MODEL.FPN.NORM"; empty for a problem of the file itself
	Message string
}

// Warning is a setting that loading has ignored.
type Warning = Problem

// String is "file:line: key: message", without the parts that are unknown.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error lists everything that keeps a config file from being used.
type Error struct {
	Problems []Problem // at least one
	Err      error     // cause, where a file could not be read; may be nil
}

// Error has one line for each problem.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "config: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "config: %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func failure(file string, line int, format string, args ...any) *Error {
	return &Error{Problems: []Problem{{File: file, Line: line, Message: fmt.Sprintf(format, args...)}}}
}
