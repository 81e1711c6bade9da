package annotation

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
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
	case format == "results":
		return "", fmt.Errorf("annotation: %s: it is a list, as files of results (detections) are, not a data set: eval --gt DATASET --dets FILE compares results with one, and convert --gt DATASET converts them", input)
	case errors.Is(err, errForeign):
		return "", fmt.Errorf("annotation: %s: %w", input, err)
	case errors.Is(err, errUnknown) && strings.EqualFold(filepath.Ext(input), ".json"):
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
	if input, err = filepath.EvalSymlinks(input); err != nil { // WalkDir does not enter a link
		return "", err
	}
	found := map[string]bool{} // the forms of single files
	var other error            // about a file of a tool that is not read
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
		format, err := ofFile(name)
		if errors.Is(err, errForeign) {
			other = fmt.Errorf("%s: %w", name, err)
		}
		if err == nil {
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
	return "", cmp.Or(other, errUnknown)
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
	format, keys := "", map[string]bool{}
	list := eachKey(json.NewDecoder(utf.NewReader(f)), func(key string) {
		keys[key] = true
		if format == "" {
			format = formatOfKey[key]
		}
	})
	if format == "labelme" || format == "geojson" {
		return format, nil
	}
	if err := foreignTool(keys); err != nil {
		return "", err
	}
	if list {
		return "results", nil
	}
	if format == "" {
		if !isRegular(name) { // a pipe, which is read once
			return "", errUnknown
		}
		return "", cmp.Or(notJSON(name), errUnknown)
	}
	return format, nil
}

// formatOfKey is the form of JSON that has a key, of the first that is here.
var formatOfKey = map[string]string{
	"FeatureCollection": "geojson", "geometry": "geojson", "shapes": "labelme", "annotations": "coco", "images": "coco",
	"label": "labelmap", "file": "masks",
}
