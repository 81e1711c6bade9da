package coco

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// inOtherCase returns the paths below a folder that differ from a path with slashes in case only.
func inOtherCase(folder, name string) []string {
	found := []string{""}
	for part := range strings.SplitSeq(path.Clean(name), "/") {
		var next []string
		for _, at := range found {
			for _, entry := range lastListing.read(filepath.Join(folder, filepath.FromSlash(at)))[strings.ToLower(part)] {
				next = append(next, path.Join(at, entry))
			}
		}
		found = next
	}
	return found
}

// A listing remembers the names in the folder that was read last, since data sets miss many files
// of one.
type listing struct {
	sync.Mutex
	folder  string
	changed time.Time
	names   map[string][]string // by the name in lower case
}

var lastListing listing

func (l *listing) read(folder string) map[string][]string {
	l.Lock()
	defer l.Unlock()
	info, err := os.Stat(folder)
	if err != nil {
		return nil
	}
	if l.names != nil && l.folder == folder && l.changed.Equal(info.ModTime()) {
		return l.names
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	l.folder, l.changed, l.names = folder, info.ModTime(), map[string][]string{}
	for _, e := range entries {
		lower := strings.ToLower(e.Name())
		l.names[lower] = append(l.names[lower], e.Name())
	}
	return l.names
}
