package annotation

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// walk calls file, if not nil, for the files in a folder and those below, in the order of their names, without hidden ones. It
// follows links to folders, into each folder once, but not into those of which leave, if not nil, returns true. Paths
// start at the folder and have slashes.
func walk(input string, leave func(folder string) bool, file func(name string)) error {
	seen := map[string]bool{}
	var in func(folder string) error
	in = func(folder string) error {
		real, err := filepath.EvalSymlinks(filepath.Join(input, filepath.FromSlash(folder)))
		if err != nil || seen[real] {
			return err
		}
		seen[real] = true
		if leave != nil && leave(folder) {
			return nil
		}
		entries, err := os.ReadDir(real)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			name, isFolder := path.Join(folder, e.Name()), e.IsDir()
			if e.Type()&fs.ModeSymlink != 0 {
				info, err := os.Stat(filepath.Join(real, e.Name()))
				isFolder = err == nil && info.IsDir()
			}
			switch {
			case isFolder:
				if err := in(name); err != nil {
					return err
				}
			case file != nil:
				file(name)
			}
		}
		return nil
	}
	return in(".")
}
