package annotation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/diffusioninst/go/coco"
)

// Formats are the names of the forms that Open and Each read.
var Formats = []string{"coco", "labelme", "labelmap", "masks", "yolo", "labels", "dsb", "cellpose", "imagej", "geojson", "labeltiff"}

// classless are the forms that have no names of classes.
var classless = []string{"labels", "dsb", "cellpose", "labeltiff"}

// NoClass is the category of instances in forms without classes.
const NoClass = "object"

// Options say how annotations are read.
type Options struct {
	// Format is one of Formats; "" means that the content decides.
	Format string

	// Images is the folder of the pictures, where the form does not say it; "" if they
	// lie beside the annotations or are not at hand.
	Images string

	// Split is the part of a YOLO data set that is read: train, val or test; "" for all.
	Split string

	// Limit is how many pictures are used, the first ones; 0 for all.
	Limit int

	// Masks makes an annotation without a mask a problem. Otherwise a box is enough.
	Masks bool

	// Boxes says that only boxes are used: what is wrong with a mask beside a box is no
	// problem. It contradicts Masks.
	Boxes bool

	// CrowdObjects takes crowds as ordinary objects.
	CrowdObjects bool

	// Skip is told of each problem: of a file, an annotation or a part of one, which is
	// then left out. With nil Skip problems are an error.
	Skip func(err error)

	// Sizes, if not nil, is told of each picture at hand whose size is not the one that its annotations
	// have, for which the beginning of every picture is read. It names the file and both sizes.
	Sizes func(err error)

	// Warn is told in words what was passed over or guessed. It may be nil.
	Warn func(format string, args ...any)

	root string // folder of the pictures, if it is known only when the annotations are found
}

// problem decides about what is wrong with a file. err is what remains of it.
func (o *Options) problem(file string, err error) error {
	if err == nil {
		return nil
	}
	problems, several := coco.AsProblems(err)
	if several {
		var harmless coco.Problems
		problems, harmless = problems.Split()
		for _, p := range harmless {
			o.warn("%s: %v", file, p)
		}
		if len(problems) == 0 {
			return nil
		}
		err = problems
	}
	switch {
	case o.Skip == nil:
		return fmt.Errorf("annotation: %s: %w", file, err)
	case !several:
		o.Skip(fmt.Errorf("%s: %w", file, err))
	}
	for _, p := range problems {
		o.Skip(fmt.Errorf("%s: %w", file, p))
	}
	return nil
}

func (o *Options) warn(format string, args ...any) {
	if o.Warn != nil {
		o.Warn(format, args...)
	}
}

func (o *Options) check() error {
	if o.Format != "" && !slices.Contains(Formats, o.Format) {
		return fmt.Errorf("annotation: format %q: not one of %q", o.Format, Formats)
	}
	if o.Boxes && o.Masks {
		return errors.New("annotation: the options Boxes and Masks contradict each other")
	}
	return nil
}
