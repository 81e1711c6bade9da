package diffusioninst

import (
	"context"
	"fmt"
	"image"
	"slices"

	"github.com/diffusioninst/go/internal/picture"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// Segment finds the instances in a picture. Cancelling ctx ends it at the next
// denoising step. Errors: *OptionError, *ImageError, *sampler.StepError (which wraps
// *decoder.NotFiniteError), *torch.Error, ErrClosed and ctx's own.
func (m *Model) Segment(ctx context.Context, img image.Image, o Options) (*Result, error) {
	results, err := m.SegmentBatch(ctx, []image.Image{img}, o)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// SegmentBatch finds the instances in several pictures in one pass through the
// network, padded to a common size. That needs as many times the memory; it pays
// on a GPU. Where one of them is cut into tiles (Input.Tile), they go one after the other.
// Picture i gets the noise that Segment would give it with Seed+i.
func (m *Model) SegmentBatch(ctx context.Context, images []image.Image, o Options) ([]*Result, error) {
	if !slices.ContainsFunc(images, func(img image.Image) bool {
		_, _, ok := m.config.Input.tiles(img, o.Tile)
		return ok
	}) {
		return m.segment(ctx, images, o, nil)
	}
	if _, _, err := o.resolve(m.config); err != nil {
		return nil, err
	}
	results := make([]*Result, len(images))
	for i, img := range images {
		with := o
		with.Seed += uint64(i)
		var err error
		if tile, overlap, ok := m.config.Input.tiles(img, o.Tile); ok {
			results[i], err = m.segmentTiles(ctx, img, tile, overlap, with)
		} else {
			results[i], err = m.Segment(ctx, img, with)
		}
		if err != nil {
			if len(images) > 1 {
				err = fmt.Errorf("picture %d: %w", i, err)
			}
			return nil, err
		}
	}
	return results, nil
}

func (m *Model) segment(ctx context.Context, images []image.Image, o Options, trace func(*Trace)) ([]*Result, error) {
	o, sampling, err := o.resolve(m.config)
	if err != nil {
		return nil, err
	}
	if err := m.begin(); err != nil {
		return nil, err
	}
	defer m.use.RUnlock()
	if len(images) == 0 {
		return nil, nil
	}
	inputs := make([]input, len(images))
	seeds := make([]uint64, len(images))
	for i, img := range images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if inputs[i], err = m.config.Input.prepare(img); err != nil {
			if len(images) > 1 {
				err = fmt.Errorf("picture %d: %w", i, err)
			}
			return nil, err
		}
		seeds[i] = o.Seed + uint64(i)
	}
	r := &run{model: m, options: o, sampling: sampling, inputs: inputs, trace: trace}
	var results []*Result
	err = torch.Do(ctx, func(s *torch.Scope) error {
		results, err = r.do(ctx, s, sampler.SeededNoise(seeds...))
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// ImageError says that a picture cannot be segmented because of its size.
type ImageError struct {
	Width, Height int
	Reason        string
}

func (e *ImageError) Error() string {
	return fmt.Sprintf("diffusioninst: picture of %d×%d pixels: %s", e.Width, e.Height, e.Reason)
}

// input is a picture resized for the network.
type input struct {
	rgb              []uint8 // (height, width, 3)
	width, height    int
	outputW, outputH int
}

// prepare resizes a picture for the network, as Input says.
func (in Input) prepare(img image.Image) (input, error) {
	if img == nil {
		return input{}, &ImageError{Reason: "there is no picture"}
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	switch {
	case w < 1 || h < 1:
		return input{}, &ImageError{w, h, "it is empty"}
	case w < 2 || h < 2:
		return input{}, &ImageError{w, h, "at least 2×2 pixels are needed to find anything"}
	}
	width, height := in.size(w, h)
	return input{
		rgb: picture.Resize(picture.RGB(img), w, h, width, height), width: width, height: height, outputW: w, outputH: h,
	}, nil
}

// size is what a picture of w × h pixels is resized to.
func (in Input) size(w, h int) (width, height int) {
	if in.Scale > 0 {
		return picture.Scale(w, h, in.Scale, in.Longest)
	}
	return picture.ShortestEdge(w, h, in.Short, in.Longest)
}
