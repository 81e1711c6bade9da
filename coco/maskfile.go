package coco

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/internal/regular"
	"github.com/diffusioninst/go/mask"
)

// WriteMasks writes each instance as a black and white PNG of the picture's size,
// STEM_000.png and so on for the stem of the picture's name, and a legend
// STEM.json. create opens a file for writing by its name.
func WriteMasks(create func(name string) (io.WriteCloser, error), p *LabeledImage) error {
	if err := p.checkPNG(); err != nil {
		return err
	}
	if create == nil {
		return errors.New("coco: WriteMasks needs a function that creates files")
	}
	l := p.legend()
	for i := range p.Instances {
		name := fmt.Sprintf("%s_%03d.png", p.Stem(), i)
		l.Instances[i].File = name
		err := writeTo(create, name, func(w io.Writer) error {
			return encodePNG(nilcheck.Writer(w), p.Instances[i].Mask.Bitmap().Gray())
		})
		if err != nil {
			return fmt.Errorf("coco: %s: %w", name, err)
		}
	}
	return writeTo(create, p.Stem()+".json", func(w io.Writer) error { return writeLegend(w, l) })
}

func writeTo(create func(name string) (io.WriteCloser, error), name string, write func(io.Writer) error) error {
	f, err := create(name)
	if err != nil {
		return err
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// ReadMasks reads what WriteMasks writes: the legend of that name in a folder, and
// the mask files beside it.
func ReadMasks(folder fs.FS, name string) (*LabeledImage, error) {
	f, err := regular.OpenIn(folder, name)
	if err != nil {
		return nil, fmt.Errorf("coco: %w", err)
	}
	defer f.Close()
	l, err := readLegend(f)
	if err != nil {
		return nil, err
	}
	return l.picture(func(_ int, e *legendEntry) (mask.RLE, error) {
		file, err := regular.OpenIn(folder, path.Join(path.Dir(name), e.File))
		if err != nil {
			return mask.RLE{}, err
		}
		defer file.Close()
		m, err := readPNG(file, l.Width, l.Height)
		if err != nil {
			return mask.RLE{}, fmt.Errorf("%s: %w", e.File, err)
		}
		return mask.FromImage(m).RLE(), nil
	})
}
