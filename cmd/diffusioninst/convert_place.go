package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
)

// prepare refuses outputs that cannot be written or that would destroy the input, and locks
// the output's folder. inPlace reports whether the output is the folder of the input.
func (o *convertOptions) prepare(ctx context.Context, input, output string) (locks outputLocks, inPlace bool, err error) {
	if output == "-" {
		return nil, false, nil
	}
	if slices.Contains(singleFiles, o.to) {
		return nil, false, atomicfile.CheckOutput(output)
	}
	if o.from == "" {
		o.from, err = await(ctx, func() (string, error) { return formatOf(input) })
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", input, err)
		}
	}
	from, to := realPath(input), realPath(output)
	info, err := os.Stat(input)
	if err != nil {
		return nil, false, err
	}
	switch {
	case slices.Contains(singleFiles, o.from):
	case !info.IsDir():
		if inPlace = filepath.Dir(from) == to; inPlace {
			from = to
		}
	case from == to:
		inPlace = true
	case within(to, from):
		return nil, false, fmt.Errorf("%s lies in %s, so that its files would be taken for input: choose a folder beside it", output, input)
	}
	if inPlace && (o.from != "labelme" || o.to != "labelme") {
		return nil, false, fmt.Errorf("%s cannot become %s in its own folder, where files of both would be mixed: choose another folder than %s", o.from, o.to, output)
	}
	locks, err = lockOutputs(output)
	return locks, inPlace && info.IsDir(), err
}

// sameNames returns an error unless each LabelMe file of a folder would be written to itself,
// so that none replaces another that has not been written.
func sameNames(folder string, pictures []*coco.LabeledImage) error {
	var names []string
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Ext(name) == ".json" {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(names) != len(pictures) {
		return errors.New("the folder has changed while it was read")
	}
	for i, p := range pictures {
		if place := outputPlace(p) + ".json"; place != names[i] {
			return fmt.Errorf("%s is about %s and would be written to %s: choose another folder than %s", names[i], printable(p.FileName), place, folder)
		}
	}
	return nil
}

// replacesPicture returns an error if a picture of the output would replace what it was made
// from, or a picture that is no output of an earlier run.
func (o *convertOptions) replacesPicture(output string, p *coco.LabeledImage) error {
	if o.to != "overlay" && o.to != "labelmap" {
		return nil
	}
	place := filepath.Join(output, filepath.FromSlash(outputPlace(p)))
	there, err := os.Stat(place + ".png")
	if err != nil {
		return nil
	}
	if o.to == "overlay" {
		source, err := os.Stat(filepath.Join(o.images, filepath.FromSlash(p.FileName)))
		if err != nil || !os.SameFile(source, there) {
			return nil
		}
		return fmt.Errorf("%s.png would replace the picture itself: choose another folder than %s", place, output)
	}
	if format, err := formatOf(place + ".json"); err == nil && format == "labelmap" {
		return nil
	}
	if _, err := os.Stat(place + ".json" + atomicfile.Suffix); err == nil {
		return nil // of a run that was killed
	}
	return fmt.Errorf("%s.png is there and has no legend, so it is not a label map: choose another folder than %s", place, output)
}
