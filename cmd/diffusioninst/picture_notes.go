package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/picture"
)

// pictureNotes count what was remarkable about pictures. Remarks that differ in numbers only
// are of one kind, and printed once.
type pictureNotes struct {
	mutex sync.Mutex
	kinds map[string]*pictureNote
	order []*pictureNote
}

type pictureNote struct {
	severity, name, text string // name of the first picture
	count                int
}

func (n pictureNote) String() string {
	return n.severity + ": " + printable(n.name) + ": " + visible(flagWords.Replace(n.text))
}

// add counts the remarks about a picture, and returns copies of those that are the first of their kind: others are
// counted while these are printed.
func (n *pictureNotes) add(name string, p *picture.Picture) (first []pictureNote) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, of := range []struct {
		severity string
		texts    []string
	}{{"note", p.Notes}, {"warning", p.Warnings}} {
		for _, text := range of.texts {
			kind := strings.Map(func(r rune) rune {
				if unicode.IsDigit(r) {
					return -1
				}
				return r
			}, text)
			if n.kinds == nil {
				n.kinds = map[string]*pictureNote{}
			}
			if known, ok := n.kinds[kind]; ok {
				known.count++
				continue
			}
			note := &pictureNote{of.severity, name, text, 1}
			n.kinds[kind] = note
			n.order = append(n.order, note)
			first = append(first, *note)
		}
	}
	return first
}

// print says the remarks of each kind.
func (n *pictureNotes) print(cmd *cobra.Command) {
	for _, note := range n.order {
		more := ""
		if note.count > 1 {
			more = fmt.Sprintf(" (and %s in like manner)", counted(note.count-1, "more picture"))
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%v%s\n", note, more)
	}
}

// printFirst says of a picture what was not said of another one.
func (n *pictureNotes) printFirst(w io.Writer, name string, p *picture.Picture) {
	for _, note := range n.add(name, p) {
		fmt.Fprintln(w, note)
	}
}
