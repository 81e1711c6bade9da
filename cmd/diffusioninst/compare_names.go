package main

import (
	"net/url"
	"path"
	"strings"

	"github.com/diffusioninst/go/coco"
)

// truths are pictures with true masks by the names of their files.
type truths struct {
	exact map[string]*coco.LabeledImage
	loose map[string]*coco.LabeledImage // by parts of the name: nil if several have them
}

func newTruths() truths {
	return truths{map[string]*coco.LabeledImage{}, map[string]*coco.LabeledImage{}}
}

func slashed(file string) string { return strings.ReplaceAll(file, `\`, "/") }

// looseNames are what may be left of a file's name elsewhere: its last part, other case, and
// what an address encodes.
func looseNames(file string) []string {
	names := []string{path.Base(file)}
	if plain, err := url.PathUnescape(file); err == nil && plain != file {
		names = append(names, path.Base(plain))
	}
	lower := []string{"lower case: " + strings.ToLower(file)}
	for _, name := range names {
		lower = append(lower, "lower case: "+strings.ToLower(name))
	}
	return append(names, lower...)
}

func (t truths) add(p *coco.LabeledImage) {
	name := slashed(p.FileName)
	t.exact[name] = p
	for _, loose := range looseNames(name) {
		if other, twice := t.loose[loose]; twice && other != p {
			t.loose[loose] = nil
		} else {
			t.loose[loose] = p
		}
	}
}

// of returns the true masks of a file, or nil.
func (t truths) of(file string) *coco.LabeledImage {
	for _, name := range []string{file, path.Base(file)} {
		if p := t.exact[name]; p != nil {
			return p
		}
	}
	for _, name := range looseNames(file) {
		if p := t.loose[name]; p != nil {
			return p
		}
	}
	return nil
}
