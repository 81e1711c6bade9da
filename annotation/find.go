package annotation

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/picture"
)

func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isPicture(name string) bool {
	return slices.Contains(picture.Extensions(), strings.ToLower(path.Ext(name)))
}

// pictureOf returns the path in a folder of the picture that has a name, but for the
// extension.
func pictureOf(folder, stem string) (string, bool) {
	for _, ext := range append(picture.Extensions(), ".ome.tif", ".ome.tiff") {
		for _, ext := range []string{ext, strings.ToUpper(ext)} {
			if isFile(filepath.Join(folder, filepath.FromSlash(stem+ext))) {
				return stem + ext, true
			}
		}
	}
	return "", false
}

// encodedSize returns the size of an encoded picture.
func encodedSize(data []byte) (width, height int, err error) {
	img, err := picture.Decode(bytes.NewReader(data), picture.Options{})
	if err != nil {
		return 0, 0, err
	}
	size := img.Bounds().Size()
	return size.X, size.Y, nil
}
