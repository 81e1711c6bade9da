package annotation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/internal/utf"
)

var errUnknown = errors.New("its format is not recognised")

// recognize returns the format of a file or a folder for Open and Each. JSON of no other form
// is taken for a data set of COCO, whose reader says what is wrong with it.
func recognize(input string) (string, error) {
	format, err := Recognize(input)
	switch {
	case format == "results", errors.Is(err, errUnknown) && strings.EqualFold(filepath.Ext(input), ".json"):
		return "coco", nil
	case err != nil:
		return "", fmt.Errorf("annotation: %s: %w", input, err)
	}
	return format, nil
}

// Recognize returns the format of a file or a folder: one of Formats, or results for a
// results file of COCO.
func Recognize(input string) (string, error) {
	info, err := os.Stat(input)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return ofFile(input)
	}
	found := map[string]bool{} // the forms of single files
	done := errors.New("done")
	err = filepath.WalkDir(input, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != input && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			if isDSB(name) {
				found["dsb"] = true
				return done
			}
			return nil
		}
		if strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		if format, err := ofFile(name); err == nil {
			found[format] = true
			if format != "labels" && !(format == "yolo" && path.Ext(name) == ".txt") {
				return done
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, done) {
		return "", err
	}
	for _, format := range []string{"dsb", "labelme", "labelmap", "masks", "coco", "results", "cellpose", "imagej", "geojson", "yolo", "labels"} {
		if found[format] {
			return format, nil
		}
	}
	if len(label(input)) > 0 {
		return "labels", nil
	}
	return "", errUnknown
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ofFile recognises a file.
func ofFile(name string) (string, error) {
	switch base := strings.ToLower(filepath.Base(name)); filepath.Ext(base) {
	case ".json":
		return ofJSON(name)
	case ".yaml", ".yml":
		_, err := readYOLOConfig(name)
		if err == nil {
			return "yolo", nil
		}
		return "", fmt.Errorf("%w: not the data.yaml of a YOLO data set: %w", errUnknown, err)
	case ".txt":
		if base != "classes.txt" && yoloText(name) {
			return "yolo", nil
		}
	case ".npy":
		return "cellpose", nil
	case ".geojson":
		return "geojson", nil
	case ".roi":
		return "imagej", nil
	case ".zip":
		if hasROIs(name) {
			return "imagej", nil
		}
	case ".png", ".tif", ".tiff":
		if _, ok := maskStem(base); ok {
			return "labels", nil
		}
		return "", errUnknown
	case "": // a pipe
		return ofJSON(name)
	}
	return "", errUnknown
}

func ofJSON(name string) (string, error) {
	f, err := regular.OpenStream(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d := json.NewDecoder(utf.NewReader(f))
	token, err := d.Token()
	if err != nil {
		return "", errUnknown
	}
	if token == json.Delim('[') {
		return "results", nil
	}
	for depth := 1; depth > 0; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", errUnknown
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		case "FeatureCollection", "geometry":
			return "geojson", nil
		case "shapes":
			return "labelme", nil
		case "annotations", "images":
			return "coco", nil
		case "label":
			return "labelmap", nil
		case "file":
			return "masks", nil
		}
	}
	return "", errUnknown
}
