//go:build cgo

package main

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/picture"
)

// listedFiles tells which lines of a list are files, or missing, without a look at each: on a network file system that takes
// longer than all else. It reads the folder of such lines once.
type listedFiles struct {
	lines  map[string]int             // of the list, by the folder in which they name a picture
	others map[string]map[string]bool // names in a folder that are not of files; nil if only a look at each tells
}

func newListedFiles(lines []listLine) *listedFiles {
	out := &listedFiles{map[string]int{}, map[string]map[string]bool{}}
	for _, l := range lines {
		if named(l.text) {
			folder, _ := filepath.Split(l.text)
			out.lines[folder]++
		}
	}
	return out
}

// named reports whether a path has the ending of a picture and is no glob.
func named(path string) bool {
	return slices.Contains(pictureEndings, strings.ToLower(filepath.Ext(path))) && !strings.ContainsAny(path, "*?[")
}

var pictureEndings = picture.Extensions()

// has reports whether a line certainly names a file that is no link, or one that is missing.
func (l *listedFiles) has(line string) bool {
	if !named(line) {
		return false
	}
	folder, name := filepath.Split(line)
	others, known := l.others[folder]
	if !known {
		others = otherNames(cmp.Or(folder, "."), 4*l.lines[folder])
		l.others[folder] = others
	}
	return others != nil && !others[name]
}

// otherNames returns the names in a folder that are not of files. It is nil if the folder cannot be read or has more than
// limit names, which would take longer than to look at the few that are listed.
func otherNames(folder string, limit int) map[string]bool {
	out := map[string]bool{}
	f, err := os.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return out
	}
	if err != nil {
		return nil
	}
	defer f.Close()
	entries, err := f.ReadDir(limit + 1)
	if err != nil && err != io.EOF || len(entries) > limit {
		return nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			out[e.Name()] = true
		}
	}
	return out
}
