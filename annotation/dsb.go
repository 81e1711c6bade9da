package annotation

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
)

// dsbFolders returns the folders below a folder, or itself, that hold one picture and its
// masks: images/NAME.png and masks/*.png, as the Data Science Bowl 2018 lays them out, as walk finds them.
func dsbFolders(input string) (out []string, err error) {
	err = walk(input, func(name string) bool {
		is := isDSB(filepath.Join(input, filepath.FromSlash(name)))
		if is {
			out = append(out, name)
		}
		return is
	}, nil)
	return out, err
}

// isDSB reports whether a folder holds one picture and its masks. A mask with the name of the
// picture, or that and a suffix of label maps, would be a label map.
func isDSB(folder string) bool {
	if !isFolder(filepath.Join(folder, "masks")) {
		return false
	}
	pictures, masks := picturesIn(filepath.Join(folder, "images")), picturesIn(filepath.Join(folder, "masks"))
	if len(pictures) != 1 || len(masks) != 1 {
		return len(pictures) == 1
	}
	of, _ := maskStem(masks[0])
	return of != stemOf(pictures[0]) && stemOf(masks[0]) != stemOf(pictures[0])
}

func stemOf(name string) string { return strings.TrimSuffix(name, extension(name)) }

// picturesIn returns the names of the pictures in a folder.
func picturesIn(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && isPicture(e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

// dsb reads folders with a picture and its binary masks.
func (o *Options) dsb(input string) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		folders, err := dsbFolders(input)
		if err != nil {
			yield(nil, fmt.Errorf("annotation: %w", err))
			return
		}
		for _, name := range folders {
			at := filepath.Join(input, filepath.FromSlash(name))
			p, err := dsbImage(at)
			if err = o.problem(at, err); err != nil {
				yield(nil, err)
				return
			}
			if p == nil {
				continue
			}
			p.FileName = path.Join(name, p.FileName)
			if !yield(p, nil) {
				return
			}
		}
	}
}

// dsbImage reads the folder of one picture. Masks that cannot be read, are empty, or have
// another size are problems.
func dsbImage(folder string) (*coco.LabeledImage, error) {
	p := &coco.LabeledImage{FileName: "images/" + picturesIn(filepath.Join(folder, "images"))[0]}
	var err error
	if p.Width, p.Height, err = pictureSize(filepath.Join(folder, filepath.FromSlash(p.FileName))); err != nil {
		return nil, err
	}
	var problems coco.Problems
	for i, name := range picturesIn(filepath.Join(folder, "masks")) {
		m, err := binaryMask(filepath.Join(folder, "masks", name), p.Width, p.Height)
		if err != nil {
			problems = append(problems, coco.Problem{Record: "mask", Index: i, Key: name, Message: err.Error()})
			continue
		}
		p.Instances = append(p.Instances, coco.LabeledInstance{Category: NoClass, Mask: m})
	}
	if len(problems) > 0 {
		return p, problems
	}
	return p, nil
}

// binaryMask reads a mask: all that is not black.
func binaryMask(path string, width, height int) (mask.RLE, error) {
	r, err := readRaster(path)
	if err != nil {
		return mask.RLE{}, err
	}
	if r.width != width || r.height != height {
		return mask.RLE{}, fmt.Errorf("%d×%d pixels, but the picture has %d×%d", r.width, r.height, width, height)
	}
	labels := map[uint32]bool{}
	var last uint32
	for _, v := range r.values {
		if v != last && v > 0 {
			labels[v] = true
		}
		last = v
	}
	if n := len(labels); n > 1 && !r.coloured && int(slices.Max(slices.Collect(maps.Keys(labels)))) == n {
		return mask.RLE{}, fmt.Errorf("it has the numbers 1 to %d, as a label map of several objects has", n)
	}
	for i, v := range r.values {
		r.values[i] = min(v, 1)
	}
	_, masks, err := r.split()
	switch {
	case err != nil:
		return mask.RLE{}, err
	case len(masks) == 0:
		return mask.RLE{}, fmt.Errorf("it is black everywhere")
	}
	return masks[0], nil
}
