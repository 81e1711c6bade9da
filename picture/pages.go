package picture

import "io"

// Pages returns, for each picture of the file at path that o does not rule out, options with
// which Open reads it and that say the rest that o says. Smaller copies of other pages are
// left out. Channels that are pages of their own are pictures here unless o chooses some of
// them. A file that is not a TIFF has one picture.
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
