package coco

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
)

// Find returns the path of the image's file in a folder of pictures. LVIS gives only the
// address of a file; the last folder of the address, such as val2017, may be missing from
// the path. If there is no file, the error wraps fs.ErrNotExist.
func (m *Image) Find(folder string) (string, error) {
	names := []string{m.FileName}
	if m.FileName == "" {
		address, err := url.Parse(m.COCOURL)
		if err != nil || path.Base(address.Path) == "." {
			return "", errors.New("coco: the image has no file_name and no coco_url")
		}
		name := path.Base(address.Path)
		names = []string{path.Join(path.Base(path.Dir(address.Path)), name), name}
	}
	var err error
	for _, name := range names {
		local := filepath.FromSlash(name)
		if !filepath.IsLocal(local) {
			return "", fmt.Errorf("coco: the image's file %q leaves the folder of the pictures", name)
		}
		at := filepath.Join(folder, local)
		if _, err = os.Stat(at); err == nil {
			return at, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return "", fmt.Errorf("coco: %w", err)
}
