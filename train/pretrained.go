package train

import (
	"context"
	"errors"
	"io"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
)

// A Pretrained is an nn.Source of the parameters that a checkpoint has for a model, and of
// drawn values for the others: the start of training on top of what another training
// has learned. It must be open while New uses it.
type Pretrained struct {
	*nn.Fit
	file *nn.Checkpoint
}

// OpenPretrained finds the parameters of the model that c describes in a checkpoint: an
// ImageNet backbone with the names of torchvision, Detectron2, Caffe2 (MSRA) or the
// official Swin Transformers, or a DiffusionInst. Of one for other classes, class_logits
// are drawn; what is drawn follows from the seed, as with nn.FromSeed. For a checkpoint
// of exactly this model, nn.Checkpoint.Source is stricter. Of a file with averaged weights
// and others c.Averaged says which are taken.
//
// A file that cannot be read, that has nothing for the model, or that fits it in two
// ways, is a *nn.LoadError. Colours are not part of a file: backbones of Caffe2 and
// MSRA expect diffusioninst.Input with BGR and a Std of 1.
func OpenPretrained(ctx context.Context, path string, c diffusioninst.Config, seed uint64) (*Pretrained, error) {
	file, err := nn.OpenCheckpoint(path)
	if err != nil {
		return nil, err
	}
	return own(ctx, file, c, seed)
}

// ReadPretrained is OpenPretrained for size bytes behind a reader, such as a checkpoint
// that is embedded in the program.
func ReadPretrained(ctx context.Context, r io.ReaderAt, size int64, c diffusioninst.Config, seed uint64) (*Pretrained, error) {
	file, err := nn.ReadCheckpoint(r, size)
	if err != nil {
		return nil, err
	}
	return own(ctx, file, c, seed)
}

// own returns the Pretrained of a file with the weights that c prefers. It closes the file
// on errors.
func own(ctx context.Context, file *nn.Checkpoint, c diffusioninst.Config, seed uint64) (*Pretrained, error) {
	var p *Pretrained
	weights, err := file.Weights(nn.EMAAuto, c.Averaged)
	if err == nil {
		p, err = NewPretrained(ctx, weights, c, seed)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return p, nil
}

// NewPretrained is OpenPretrained for an open checkpoint, of which the caller has chosen the
// weights (nn.Checkpoint.Weights). Closing the Pretrained closes it.
func NewPretrained(ctx context.Context, file *nn.Checkpoint, c diffusioninst.Config, seed uint64) (*Pretrained, error) {
	if file == nil {
		return nil, errors.New("train: NewPretrained without a checkpoint")
	}
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	f, err := file.Fit(ctx, seed, func(p nn.Path) error {
		_, err := diffusioninst.NewNetwork(p, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Pretrained{f, file}, nil
}

// Close closes the checkpoint.
func (p *Pretrained) Close() error {
	if p == nil {
		return nil
	}
	return p.file.Close()
}
