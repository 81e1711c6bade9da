package annotation

import (
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/coco"
)

// suffixes end the names of label maps that lie beside their pictures.
var suffixes = []string{"_cp_masks", "_masks", "_mask", "_labels", "_label", "-masks", "-labels"}

// extension returns the extension of a file's name, which of OME-TIFF files has two parts.
func extension(name string) string {
	ext := path.Ext(name)
	if two := path.Ext(strings.TrimSuffix(name, ext)); strings.EqualFold(two, ".ome") {
		return two + ext
	}
	return ext
}

// maskStem returns a file's name without extension and suffix, and whether it has a suffix.
func maskStem(name string) (string, bool) {
	stem := strings.TrimSuffix(name, extension(name))
	for _, s := range suffixes {
		if cut := len(stem) - len(s); cut > 0 && strings.EqualFold(stem[cut:], s) {
			return stem[:cut], true
		}
	}
	return stem, false
}

// labelFolders are where label maps lie beside a folder images.
var labelFolders = []string{"labels", "masks", "label", "mask"}

// label returns the label maps of a folder: those with a suffix or, if there are none, all
// pictures if the first of them looks like one.
func label(folder string) []string {
	all, err := files(folder, ".png", ".tif", ".tiff")
	if err != nil {
		return nil
	}
	named := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		_, ok := maskStem(name)
		return !ok
	})
	if len(named) > 0 {
		return named
	}
	if isFolder(filepath.Join(folder, "images")) {
		for _, sub := range labelFolders {
			if inside := label(filepath.Join(folder, sub)); len(inside) > 0 {
				for i := range inside {
					inside[i] = sub + "/" + inside[i]
				}
				return inside
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	if r, err := readRaster(filepath.Join(folder, filepath.FromSlash(all[0]))); err != nil || !r.flat() {
		return nil
	}
	return all
}

// labels reads label maps without a legend. Each label is an instance.
func (o *Options) labels(input string) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folder := root(input)
		names := []string{filepath.Base(input)}
		if info, err := os.Stat(input); err != nil {
			yield(nil, fmt.Errorf("annotation: %w", err))
			return
		} else if info.IsDir() {
			if names = label(folder); len(names) == 0 { // asked for by name
				names, _ = files(folder, ".png", ".tif", ".tiff")
			}
		}
		white, coloured := 0, 0
		var dropped, doubtful []string // files with void, and with what may be void
		for _, name := range names {
			at := filepath.Join(folder, filepath.FromSlash(name))
			r, err := readRaster(at)
			var p *coco.LabeledImage
			if err == nil {
				if r.dropVoid() {
					dropped = append(dropped, name)
				}
				p, err = labelled(r)
			}
			if err = o.problem(at, err); err != nil {
				yield(nil, err)
				return
			}
			if p == nil {
				continue
			}
			if len(p.Instances) == 1 && p.Instances[0].Label == 255 {
				white++
			}
			if perhapsVoid(labelsOf(p)) {
				doubtful = append(doubtful, name)
			}
			if r.coloured {
				coloured++
			}
			p.FileName = o.labelled(folder, name)
			if !yield(p, nil) {
				return
			}
		}
		if len(dropped) > 0 {
			o.warn("%s: %d label maps have the colours of PASCAL VOC (the first is %s): their number 255 is void, which is no object", input, len(dropped), dropped[0])
		}
		if len(doubtful) > 0 {
			o.warn("%s: %d label maps have the numbers 1, 2, … and 255 (the first is %s): 255 is read as an object; if it is void, make it 0", input, len(doubtful), doubtful[0])
		}
		if coloured > 0 {
			o.warn("%s: %d label maps are in colours: each colour but black is read as one object", input, coloured)
		}
		if white > 0 && white == len(names) {
			o.warn("%s: the label maps are black and white only: each is read as one object", input)
		}
	}
}

// labelled returns the objects of a label map with their labels.
func labelled(r *raster) (*coco.LabeledImage, error) {
	labels, masks, err := r.split()
	if err != nil {
		return nil, err
	}
	p := &coco.LabeledImage{Width: r.width, Height: r.height}
	for i, m := range masks {
		p.Instances = append(p.Instances, coco.LabeledInstance{Label: labels[i], Category: NoClass, Mask: m})
	}
	return p, nil
}

// labelsOf returns the numbers of the objects of a label map.
func labelsOf(p *coco.LabeledImage) []uint32 {
	out := make([]uint32, len(p.Instances))
	for i := range p.Instances {
		out[i] = p.Instances[i].Label
	}
	return out
}

// labelled returns the name of the picture that belongs to a label map.
func (o *Options) labelled(folder, name string) string {
	stem, suffixed := maskStem(name)
	if o.Images == "" {
		if suffixed {
			if at, ok := pictureOf(folder, stem); ok {
				return at
			}
		}
		first, rest, deep := strings.Cut(stem, "/")
		if deep && slices.Contains(labelFolders, first) {
			if at, ok := pictureOf(folder, "images/"+rest); ok {
				return at
			}
		}
		if suffixed { // the map itself must not be taken for the picture
			return stem + extension(name)
		}
		return name
	}
	_, inside, _ := strings.Cut(stem, "/")
	for _, try := range []string{stem, inside, path.Base(stem)} {
		if try == "" {
			continue
		}
		if at, ok := pictureOf(o.Images, try); ok {
			return at
		}
	}
	return stem + extension(name)
}
