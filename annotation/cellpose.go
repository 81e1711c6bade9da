package annotation

import (
	"errors"
	"iter"

	"github.com/diffusioninst/go/coco"
)

// cellpose reads NAME_seg.npy files.
func (o *Options) cellpose(input string) iter.Seq2[*coco.LabeledImage, error] {
	return func(yield func(*coco.LabeledImage, error) bool) {
		yield(nil, errors.New("annotation: not yet"))
	}
}
