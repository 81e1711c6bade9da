package detectron2

import (
	"fmt"
	"strings"
)

// A Problem is an invalid setting, or one without effect, at one place in a config file.
type Problem struct {
	File    string // empty if no file sets the key
	Line    int    // counted from 1; 0 if unknown
	Key     string // "MODEL.FPN.NORM"; empty for a problem of the file itself
	Message string
}

// Warning is a setting that loading has ignored.
type Warning = Problem

// String returns "file:line: key: message", without the parts that are unknown.
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

// An Error lists everything that prevents a config file from being used.
type Error struct {
	Problems []Problem // at least one
	Err      error     // cause if a file could not be read; may be nil
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "detectron2: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "detectron2: %d problems", len(e.Problems))
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
