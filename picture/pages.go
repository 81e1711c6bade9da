package picture

import (
	"fmt"
	"io"
)

// Pages returns, for each page of the file at path, options with which Open reads it and that
// say the rest that o says. Smaller copies of other pages are left out. Channels that are
// pages of their own are pages here unless o chooses one of them. A file that is no TIFF has
// one page.
func Pages(path string, o Options) ([]Options, error) {
	var out []Options
	err := withFile(path, func(r io.Reader) error {
		with := o.withDefaults()
		if err := with.validate(); err != nil {
			return err
		}
		source, err := rewindable(r, with.MaxBytes)
		if err != nil {
			return err
		}
		t, err := source.tiff(with)
		if err != nil {
			return err
		}
		if t == nil {
			out = []Options{o}
			return nil
		}
		out, err = t.pages(o)
		return err
	})
	return out, err
}

func (t *tiffFile) pages(o Options) ([]Options, error) {
	if o.Page > 0 || o.Z > 0 || o.MaxZ {
		return nil, &Error{Kind: ErrChoice, Reason: "all pages, or one of them"}
	}
	channel := -1
	if names := t.stack.Channels; t.stack.Axes && len(names) > 1 && len(o.Channels) > 0 {
		chosen, err := pickChannels(names, o.Channels)
		if err != nil {
			return nil, err
		}
		if len(chosen) > 1 {
			return nil, &Error{Kind: ErrChoice, Reason: fmt.Sprintf("%d channels of all pages: choose one channel, or one page", len(chosen))}
		}
		channel, o.Channels = chosen[0], nil
	}
	var out []Options
	for _, index := range t.full {
		if channel < 0 || t.stack.Planes[index].C == channel {
			o.Page = index + 1
			out = append(out, o)
		}
	}
	return out, nil
}
