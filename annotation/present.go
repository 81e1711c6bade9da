package annotation

import (
	"errors"

	"github.com/diffusioninst/go/coco"
)

// present returns an error if there is no picture to write.
func present(p *coco.LabeledImage) error {
	if p == nil {
		return errors.New("annotation: there is no picture to write")
	}
	return nil
}
