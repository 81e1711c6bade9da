package picture

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var extensions = []string{
	".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".jpe", ".jfif", ".apng", ".pnm", ".pbm", ".pgm", ".ppm", ".pam", ".pfm", ".tga", ".pcx",
	".sgi", ".qoi", ".ico", ".dib", ".btf", ".tf2", ".tf8", ".stk", ".lsm", // the last five are TIFF files
}

// Extensions returns the file name endings, in lower case, by which [Find] knows pictures in
// folders, the usual ones first.
func Extensions() []string { return slices.Clone(extensions) }

// Find lists the pictures that command-line arguments name. A file stands for
// itself, whatever its name, and so does "-". A folder stands for the pictures in it
// and in the folders below, hidden ones left out, in the order of their names. What
// does not exist is tried as a pattern ("field*/*.png"). A picture that is named
// twice is listed once. An argument that names no picture is an [*Error].
func Find(args []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for _, arg := range args {
		found, err := expand(arg)
		if err != nil {
			return nil, named(arg, err)
		}
		for _, path := range found {
			if clean := filepath.Clean(path); !seen[clean] {
				seen[clean] = true
				out = append(out, path)
			}
		}
	}
	return out, nil
}

func expand(arg string) ([]string, error) {
	if arg == "-" {
		return []string{arg}, nil
	}
	_, err := os.Stat(arg)
	if err == nil {
		return list(arg)
	}
	if !strings.ContainsAny(arg, "*?[") {
		return nil, readError(err)
	}
	matches, err := filepath.Glob(arg)
	if err != nil {
		return nil, &Error{Kind: ErrNoFiles, Reason: err.Error(), Err: err}
	}
	var out []string
	hidden := strings.HasPrefix(filepath.Base(arg), ".")
	for _, match := range matches {
		if strings.HasPrefix(filepath.Base(match), ".") && !hidden {
			continue
		}
		found, err := list(match)
		if err != nil && len(matches) == 1 {
			return nil, err
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, &Error{Kind: ErrNoFiles, Reason: "nothing matches the pattern"}
	}
	return out, nil
}

// list is the file at path, or the pictures below the folder at path.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, readError(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var out []string
	// DirFS, because filepath.WalkDir does not enter a folder that is a link.
	err = fs.WalkDir(os.DirFS(path), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(name))):
			out = append(out, filepath.Join(path, filepath.FromSlash(name)))
		}
		return nil
	})
	if err != nil {
		return nil, readError(err)
	}
	if len(out) == 0 {
		return nil, &Error{Kind: ErrNoFiles, Reason: fmt.Sprintf("no picture (%s) in this folder", strings.Join(extensions, " "))}
	}
	return out, nil
}
