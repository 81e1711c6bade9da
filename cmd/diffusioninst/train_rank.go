//go:build cgo

package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// rankPrefix begins the lines in which a process other than rank 0 says what only it sees: of the pictures that it reads.
func rankPrefix(rank int) string { return fmt.Sprintf("rank %d: ", rank) }

// A rankWriter prints such lines.
type rankWriter struct {
	to   io.Writer
	rank int
}

func (w rankWriter) Write(line []byte) (int, error) {
	_, err := fmt.Fprintf(w.to, "%s%s", rankPrefix(w.rank), line)
	return len(line), err
}

// rankWords are what a process prints that this one has started: such lines are passed on at once, and the rest is
// kept for when it fails.
type rankWords struct {
	to   io.Writer
	lock *sync.Mutex // of to
	rank int
	line []byte // not yet ended
	rest bytes.Buffer
}

func (w *rankWords) Write(text []byte) (int, error) {
	n := len(text)
	for {
		before, after, ended := bytes.Cut(text, []byte("\n"))
		w.line = append(w.line, before...)
		if !ended {
			return n, nil
		}
		w.line, text = append(w.line, '\n'), after
		if bytes.HasPrefix(w.line, []byte(rankPrefix(w.rank))) {
			w.lock.Lock()
			_, _ = w.to.Write(w.line)
			w.lock.Unlock()
		} else {
			w.rest.Write(w.line)
		}
		w.line = w.line[:0]
	}
}

// kept is the rest.
func (w *rankWords) kept() []byte { return bytes.TrimSpace(append(w.rest.Bytes(), w.line...)) }
