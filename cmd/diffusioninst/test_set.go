//go:build cgo

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/picture"
)

// testSet is a data set that a model is tried on.
type testSet struct {
	data       *coco.Dataset
	images     []testImage
	categories []*coco.Category // the data set's, by the model's class; nil where it has none
}

// testImage is a picture of a data set and where its file is.
type testImage struct {
	*coco.Image
	path string
}

// openTestSet reads the data set of a file and looks for its pictures, the first limit
// or, with 0, all of them, below a folder.
func openTestSet(file, folder string, limit int) (*testSet, error) {
	if limit < 0 {
		return nil, fmt.Errorf("--limit-images %d: want a number of pictures, or 0 for all", limit)
	}
	data, err := coco.Load(file)
	if err != nil {
		return nil, err
	}
	if len(data.Images) == 0 {
		return nil, fmt.Errorf("%s: it has no images", file)
	}
	n := len(data.Images)
	if limit > 0 {
		n = min(n, limit)
	}
	set := &testSet{data: data}
	var missing []error
	for i := range data.Images[:n] {
		at, err := findPicture(folder, &data.Images[i])
		if err != nil {
			missing = append(missing, fmt.Errorf("%s: image %d: %w", file, data.Images[i].ID, err))
		}
		set.images = append(set.images, testImage{&data.Images[i], at})
	}
	if len(missing) > 1 {
		return nil, fmt.Errorf("%w (and %d more pictures are missing)", missing[0], len(missing)-1)
	}
	return set, errors.Join(missing...)
}

// findPicture is the path of an image's file. LVIS names files by their addresses only,
// of which the last folder, such as val2017, may lie below the folder or be it.
func findPicture(folder string, m *coco.Image) (string, error) {
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

// match finds the categories of the model's classes by their names or, where no name
// fits and their number is the same, in the order of their ids.
func (s *testSet) match(classes []string, warn func(format string, args ...any)) error {
	s.categories = make([]*coco.Category, len(classes))
	known := map[string]int{}
	for i, name := range classes {
		known[name] = i
	}
	missing := ""
	found := 0
	for i := range s.data.Categories {
		c := &s.data.Categories[i]
		if class, ok := known[c.Name]; ok {
			s.categories[class] = c
			found++
		} else if missing == "" {
			missing = fmt.Sprintf("%q (id %d)", c.Name, c.ID)
		}
	}
	switch {
	case missing == "" && found > 0:
		return nil
	case found > 0 || len(classes) != len(s.data.Categories):
		return fmt.Errorf("the model knows %d classes, the data set's category %s is none of them", len(classes), missing)
	}
	warn("no category of the data set has the name of a class: they are taken in the order of their ids")
	for i := range s.data.Categories {
		s.categories[i] = &s.data.Categories[i]
	}
	slices.SortStableFunc(s.categories, func(a, b *coco.Category) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

// segmenter finds the instances in a picture.
type segmenter func(ctx context.Context, img image.Image, o diffusioninst.Options) (*diffusioninst.Result, error)

// run segments every picture and returns what was found and the time it took,
// reading left out. A picture gets the noise of the seed plus its id, whichever others
// there are. done is called after each.
func (s *testSet) run(ctx context.Context, segment segmenter, o diffusioninst.Options, done func()) ([]coco.Result, time.Duration, error) {
	all := []coco.Result{}
	var took time.Duration
	for _, m := range s.images {
		img, err := m.open()
		if err != nil {
			return nil, 0, err
		}
		with := o
		with.Seed += uint64(m.ID)
		start := time.Now()
		found, err := segment(ctx, img, with)
		took += time.Since(start)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		if err != nil {
			return nil, 0, fmt.Errorf("image %d: %s: %w", m.ID, m.path, err)
		}
		all = append(all, s.results(m, found)...)
		done()
	}
	return all, took, nil
}

// open reads a picture, which must have the size that the data set says.
func (m testImage) open() (image.Image, error) {
	img, err := picture.Open(m.path, picture.Limits{})
	if err != nil {
		return nil, fmt.Errorf("image %d: %w", m.ID, err)
	}
	if w, h := img.Rect.Dx(), img.Rect.Dy(); m.Width > 0 && m.Height > 0 && (w != m.Width || h != m.Height) {
		return nil, fmt.Errorf("image %d: %s: it has %d×%d pixels, in the data set %d×%d", m.ID, m.path, w, h, m.Width, m.Height)
	}
	return img, nil
}

// results are the detections of classes that the data set has.
func (s *testSet) results(m testImage, found *diffusioninst.Result) []coco.Result {
	kept := *found
	kept.Instances = nil
	categories := make([]coco.Category, len(s.categories))
	for _, in := range found.Instances {
		if c := s.categories[in.Class]; c != nil {
			categories[in.Class] = *c
			kept.Instances = append(kept.Instances, in)
		}
	}
	return toPicture(&kept, m.ID, m.FileName, categories).Results()
}

// ids of the pictures, as coco.Options has them.
func (s *testSet) ids() []int64 {
	out := make([]int64, len(s.images))
	for i, m := range s.images {
		out[i] = m.ID
	}
	return out
}
