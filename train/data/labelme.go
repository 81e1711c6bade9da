package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/picture"
)

// LabelMe is a data set of LabelMe files, each beside its picture.
type LabelMe struct {
	classes  []string
	class    map[string]int
	files    []labelMeFile
	pictures pictures
}

// labelMeFile is what one file says, or why it says nothing.
type labelMeFile struct {
	path    string
	content *coco.LabeledImage
	emptied bool // its shapes have no area, all of them
	err     error
}

// OpenLabelMe reads the LabelMe files (.json) in a folder and the folders below, hidden
// ones left out, in the order of their names. The picture of a file is the one it names
// or, if that does not exist, the one that has the file's name except for the extension.
// Pictures without a file are not part of the data set; files without shapes are pictures
// without objects. The classes are the given ones or, if nil, the labels in the order of the
// alphabet.
//
// warn is told of what is passed over: JSON files of another kind, and shapes without area,
// such as lines. With nil warn the former are passed over silently, and the latter are errors.
//
// Pictures, and files that cannot be read, are errors of [LabelMe.Sample] only; but there
// must be a file that can. The first 512 MiB of decoded pictures stay in memory: see
// [LabelMe.KeepPictures].
func OpenLabelMe(folder string, classes []string, warn func(format string, args ...any)) (*LabelMe, error) {
	if err := coco.CheckNames(classes); err != nil {
		return nil, fmt.Errorf("data: the given classes: %w", err)
	}
	l := &LabelMe{classes: classes, class: map[string]int{}}
	l.KeepPictures(0)
	var foreign []error
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		hidden := path != folder && strings.HasPrefix(entry.Name(), ".")
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden:
			return filepath.SkipDir
		case !entry.IsDir() && !hidden && strings.EqualFold(filepath.Ext(path), ".json"):
			leftOut := false
			said := warn
			if warn != nil {
				said = func(format string, args ...any) {
					leftOut = leftOut || slices.ContainsFunc(args, isShape)
					warn(format, args...)
				}
			}
			content, err := annotation.LabelMeFile(path, said)
			if errors.Is(err, coco.ErrNotLabelMe) {
				foreign = append(foreign, fmt.Errorf("%s: %w", path, err))
				return nil
			}
			l.files = append(l.files, labelMeFile{path, content, leftOut && err == nil && len(content.Instances) == 0, err})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(l.files) == 0 {
		return nil, errors.Join(append([]error{fmt.Errorf("data: %s: no LabelMe files", folder)}, foreign[:min(len(foreign), 3)]...)...)
	}
	if len(foreign) > 0 && warn != nil {
		warn("%s: %d JSON files are not of LabelMe and are passed over (the first: %v)", folder, len(foreign), foreign[0])
	}
	if !slices.ContainsFunc(l.files, func(f labelMeFile) bool { return f.err == nil }) {
		return nil, fmt.Errorf("data: %s: %w", l.files[0].path, l.files[0].err)
	}
	if err := l.checkPixels(folder); err != nil {
		return nil, err
	}
	if classes == nil {
		l.classes = l.labels()
	}
	for i, name := range l.classes {
		l.class[name] = i
	}
	return l, nil
}

// isShape reports whether a warning is of a shape that is left out.
func isShape(said any) bool {
	p, ok := said.(coco.Problem)
	return ok && p.Record == "shape"
}

// checkPixels refuses files of which no shape covers a pixel.
func (l *LabelMe) checkPixels(folder string) error {
	var files []string
	for _, f := range l.files {
		switch {
		case f.emptied:
			files = append(files, filepath.Base(f.path))
		case f.err == nil && len(f.content.Instances) > 0:
			return nil
		}
	}
	if len(files) == 0 {
		return nil
	}
	return fmt.Errorf("data: %s: no shape of its %d files covers a pixel (%s): there is nothing to learn", folder, len(files), some(files))
}

// labels returns the labels that occur, sorted.
func (l *LabelMe) labels() []string {
	var out []string
	for _, f := range l.files {
		if f.err == nil {
			for i := range f.content.Instances {
				out = append(out, f.content.Instances[i].Category)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// KeepPictures sets how many bytes of decoded pictures stay in memory; see
// [COCO.KeepPictures].
func (l *LabelMe) KeepPictures(bytes int64) { l.pictures.keep(bytes) }

// Pictures sets what is read of the files of pictures; see [COCO.Pictures].
func (l *LabelMe) Pictures(o picture.Options, remark func(path string, p *picture.Picture)) {
	l.pictures.options, l.pictures.remark = o, remark
}

// Classes returns the given classes or the labels.
func (l *LabelMe) Classes() []string { return l.classes }

// Len returns the number of files.
func (l *LabelMe) Len() int { return len(l.files) }

// Summary returns what its file says about picture i: nothing if the file cannot be read.
// Labels that are not classes are left out.
func (l *LabelMe) Summary(i int) Summary {
	p := l.files[i].content
	if l.files[i].err != nil {
		return Summary{}
	}
	out := Summary{Width: p.Width, Height: p.Height}
	for k := range p.Instances {
		if class, ok := l.class[p.Instances[k].Category]; ok {
			out.Classes = append(out.Classes, class)
		}
	}
	return out
}

// Sample reads picture i. An error is a *[SampleError] that names the file.
func (l *LabelMe) Sample(ctx context.Context, i int) (Sample, error) {
	if err := ctx.Err(); err != nil {
		return Sample{}, err
	}
	if l == nil || i < 0 || i >= l.Len() {
		return Sample{}, noSample(i)
	}
	f := l.files[i]
	s := Sample{ID: f.path}
	if f.err != nil {
		return Sample{}, &SampleError{ID: s.ID, Err: f.err}
	}
	at, err := f.picture()
	if err == nil {
		s.RGB, s.Width, s.Height, err = l.pictures.read(at)
	}
	if err != nil {
		return Sample{}, &SampleError{ID: s.ID, Err: err}
	}
	if p := f.content; p.Width != s.Width || p.Height != s.Height {
		return Sample{}, &SampleError{ID: s.ID, Reason: fmt.Sprintf("%s has %d×%d pixels, by the file %d×%d", at, s.Width, s.Height, p.Width, p.Height)}
	}
	for k := range f.content.Instances {
		v := &f.content.Instances[k]
		class, ok := l.class[v.Category]
		if !ok {
			return Sample{}, &SampleError{ID: s.ID, Reason: fmt.Sprintf("shape %d: its label %q is none of the classes", k, v.Category)}
		}
		s.add(class, v.Mask, mask.Box{})
	}
	return s, nil
}

// picture returns the path of the picture that belongs to the file.
func (f labelMeFile) picture() (string, error) {
	folder := filepath.Dir(f.path)
	if at, err := (&coco.Image{FileName: f.content.FileName}).Find(folder); err == nil {
		return at, nil
	}
	stem := strings.TrimSuffix(filepath.Base(f.path), filepath.Ext(f.path))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		other := entry.Name()
		ext := filepath.Ext(other)
		if !entry.IsDir() && !strings.EqualFold(ext, ".json") && strings.TrimSuffix(other, ext) == stem {
			return filepath.Join(folder, other), nil
		}
	}
	return "", fmt.Errorf("no picture %q beside it, and none of its own name: %w", f.content.FileName, fs.ErrNotExist)
}

var _ Summarizer = (*LabelMe)(nil)
