package train

import (
	"errors"
	"fmt"

	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// OutOfMemoryError says that the memory of the host or of a GPU did not suffice while a step ran; what is refused before
// a step is a LimitError. It wraps torch.ErrOutOfMemory. The trainer's state is as it was before the step, so that it can go on
// with smaller batches.
type OutOfMemoryError struct {
	Device                  torch.Device
	Pictures, Width, Height int // of the largest part of the batch; the largest picture's sides
	Proposals               int // of each picture
	Err                     error
}

func (e *OutOfMemoryError) Error() string {
	return fmt.Sprintf("train: %v is out of memory in a step of %d pictures of up to %d×%d pixels with %d proposals each: "+
		"make batches (--batch) or crops smaller, use fewer proposals, or compute a batch in parts (--accumulate, Run.Parts): %v",
		e.Device, e.Pictures, e.Width, e.Height, e.Proposals, e.Err)
}

// Unwrap returns the operator's error.
func (e *OutOfMemoryError) Unwrap() error { return e.Err }

// outOfMemory returns err as an *OutOfMemoryError if it is the end of memory in a step of parts.
func (t *Trainer) outOfMemory(err error, parts ...[]data.Sample) error {
	if known := (*OutOfMemoryError)(nil); !errors.Is(err, torch.ErrOutOfMemory) || errors.As(err, &known) {
		return err
	}
	e := &OutOfMemoryError{Device: t.device, Proposals: t.config.Proposals, Err: err}
	for _, part := range parts {
		w, h := 0, 0
		for _, s := range part {
			w, h = max(w, s.Width), max(h, s.Height)
		}
		if len(part)*w*h > e.Pictures*e.Width*e.Height {
			e.Pictures, e.Width, e.Height = len(part), w, h
		}
	}
	return e
}
