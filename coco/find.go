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

// Find is the path of the image's file in a folder of pictures, where it exists. LVIS
// names files by their addresses only, of which the last folder, such as val2017, may lie
// below the folder or be it.
func (m *Image) Find(folder string) (string, error) {
	names := []string{m.FileName}
	if m.FileName == "" {
		address, err := url.Parse(m.COCOURL)
		if err != nil || path.Base(address.Path) == "." {
			return "", fmt.Errorf("it has no file_name and no coco_url")
		}
		name := path.Base(address.Path)
		names = []string{path.Join(path.Base(path.Dir(address.Path)), name), name}
	}
	var err error
	for _, name := range names {
		local := filepath.FromSlash(name)
		if !filepath.IsLocal(local) {
			return "", fmt.Errorf("its file %q leaves the folder of the pictures", name)
		}
		at := filepath.Join(folder, local)
		if _, err = os.Stat(at); err == nil {
			return at, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return "", err
}
