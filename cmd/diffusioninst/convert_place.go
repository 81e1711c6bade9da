package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/diffusioninst/go/annotation"
	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/atomicfile"
)

// prepare refuses outputs that cannot be written or that would destroy the input, and locks
// the output's folder.
func (o *convertOptions) prepare(ctx context.Context, input, output string) (outputLocks, error) {
	if output == "-" {
		return nil, nil
	}
	if slices.Contains(singleFiles, o.to) {
		return nil, atomicfile.CheckOutput(output)
	}
	info, err := os.Stat(input)
	if err != nil {
		return nil, err
	}
	if o.from == "" {
		if o.from, err = await(ctx, func() (string, error) { return annotation.Recognize(input) }); err != nil {
			return nil, fmt.Errorf("%s: %w (--from names a format)", input, err)
		}
	}
	from, to := realPath(input), realPath(output)
	if !info.IsDir() {
		from = filepath.Dir(from)
	}
	switch {
	case slices.Contains(singleFiles, o.from):
	case from == to:
		// LabelMe files, too, have more than is converted, such as pictures and flags.
		return nil, fmt.Errorf("%s is the folder of the input, whose files would be replaced by others: choose another folder", output)
	case info.IsDir() && within(to, from):
		return nil, fmt.Errorf("%s lies in %s, so that its files would be taken for input: choose a folder beside it", output, input)
	}
	return lockOutputs(output)
}

// replacesPicture returns an error if a picture of the output would replace what it was made
// from, or a picture that an earlier run did not write.
func (o *convertOptions) replacesPicture(output string, p *coco.LabeledImage) error {
	if o.to != "overlay" && o.to != "labelmap" {
		return nil
	}
	place := filepath.Join(output, filepath.FromSlash(outputPlace(o.to, p)))
	there, err := os.Stat(place + ".png")
	if err != nil {
		return nil
	}
	if o.to == "overlay" {
		path, err := (&coco.Image{FileName: p.FileName}).Find(o.images)
		if err != nil {
			return nil
		}
		source, err := os.Stat(path)
		if err != nil || !os.SameFile(source, there) {
			return nil
		}
		return fmt.Errorf("%s.png would replace the picture itself: choose another folder than %s", place, output)
	}
	if format, err := annotation.Recognize(place + ".json"); err == nil && format == "labelmap" {
		return nil
	}
	if _, err := os.Stat(place + ".json" + atomicfile.Suffix); err == nil {
		return nil // of a run that was killed
	}
	return fmt.Errorf("%s.png is there and has no legend, so it is not a label map: choose another folder than %s", place, output)
}
