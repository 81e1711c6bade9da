package annotation

import (
	"fmt"
	"iter"
	"path"
	"path/filepath"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/regular"
)

// cellpose reads NAME_seg.npy files of Cellpose, and other .npy files of a label map.
func (o *Options) cellpose(input string) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folder := root(input)
		names, err := files(input, ".npy")
		if err != nil {
			yield(nil, fmt.Errorf("annotation: %w", err))
			return
		}
		for _, name := range names {
			at := filepath.Join(folder, filepath.FromSlash(name))
			p, err := numpyImage(at)
			if err = o.problem(at, err); err != nil {
				yield(nil, err)
				return
			}
			if p == nil {
				continue
			}
			stem := strings.TrimSuffix(name, path.Ext(name))
			if cut := strings.TrimSuffix(stem, "_seg"); cut != stem {
				stem = cut
			} else {
				stem, _ = maskStem(name)
			}
			p.FileName = stem + ".png"
			images := o.Images
			if images == "" {
				images = folder
			}
			for _, try := range []string{stem, path.Base(stem)} {
				if found, ok := pictureOf(images, try); ok {
					p.FileName = found
					break
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// numpyImage reads the label map of an .npy file.
func numpyImage(path string) (*coco.LabeledImage, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a, err := checkpoint.ReadNumPyInts(f, info.Size(), "masks")
	if err != nil {
		return nil, err
	}
	for len(a.Shape) > 2 && a.Shape[0] == 1 {
		a.Shape = a.Shape[1:]
	}
	if len(a.Shape) != 2 || a.Shape[0] < 1 || a.Shape[1] < 1 {
		return nil, fmt.Errorf("its masks have the shape %v: only label maps of two dimensions are read", a.Shape)
	}
	return labelled(&raster{width: int(a.Shape[1]), height: int(a.Shape[0]), values: a.Values})
}
