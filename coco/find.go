package coco

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Find returns the path of the image's file in a folder of pictures. The file's name may have
// the separators of Windows, be encoded as in an address ("a%20b.png"), or differ in case
// ("IMG.JPG" for img.jpg) if only one file does. Of a name that leaves the folder, such as one with
// a drive, the last part counts. LVIS gives only the address of a file; the last folder of the address,
// such as val2017, may be missing from the path. If there is no file, the error wraps
// fs.ErrNotExist.
func (m *Image) Find(folder string) (string, error) {
	if m == nil {
		return "", errors.New("coco: there is no image to find")
	}
	names := []string{m.FileName}
	switch slashed := strings.ReplaceAll(m.FileName, `\`, "/"); {
	case m.FileName == "":
		address, err := url.Parse(m.COCOURL)
		if err != nil || path.Base(address.Path) == "." {
			return "", errors.New("coco: the image has no file_name and no coco_url")
		}
		name := path.Base(address.Path)
		names = []string{path.Join(path.Base(path.Dir(address.Path)), name), name}
	case leaves(slashed):
		if names = []string{path.Base(slashed)}; leaves(names[0]) {
			return "", fmt.Errorf("coco: the image's file %q leaves the folder of the pictures", m.FileName)
		}
	case slashed != m.FileName:
		names = append(names, slashed)
	}
	if plain, err := url.PathUnescape(names[len(names)-1]); err == nil && plain != names[len(names)-1] && !leaves(plain) {
		names = append(names, plain)
	}
	var err error
	for _, name := range names {
		at := filepath.Join(folder, filepath.FromSlash(name))
		if _, err = os.Stat(at); err == nil {
			return at, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range names {
			switch found := inOtherCase(folder, name); len(found) {
			case 0:
			case 1:
				return filepath.Join(folder, filepath.FromSlash(found[0])), nil
			default:
				return "", fmt.Errorf("coco: %s differs in case from %s: %w", name, strings.Join(found, " and "), err)
			}
		}
	}
	if m.FileName != "" && names[0] == path.Base(names[0]) && names[0] != m.FileName {
		return "", fmt.Errorf("coco: the image's file %q leaves the folder of the pictures, and its last part is not there: %w", m.FileName, err)
	}
	return "", fmt.Errorf("coco: %w", err)
}

// leaves reports whether a path with slashes is not below the folder it starts from.
func leaves(name string) bool {
	drive := len(name) > 1 && name[1] == ':'
	return drive || !filepath.IsLocal(filepath.FromSlash(name))
}
