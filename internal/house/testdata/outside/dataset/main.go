// Command dataset trains on data of its own: a data.Dataset, and a sequence of samples.
package main

import (
	"context"
	"iter"
	"log"
	"math/rand/v2"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/train/data"
)

// squares are pictures of a white square each.
type squares struct{ n int }

func (squares) Classes() []string { return []string{"square"} }

func (s squares) Len() int { return s.n }

func (squares) Sample(ctx context.Context, i int) (data.Sample, error) {
	s := data.Sample{ID: "square", Width: 64, Height: 64, RGB: make([]uint8, 3*64*64)}
	square := mask.NewBitmap(64, 64)
	for y := i; y < i+20; y++ {
		for x := 10; x < 30; x++ {
			square.Set(x, y, true)
			copy(s.RGB[3*(64*y+x):], []uint8{255, 255, 255})
		}
	}
	box := mask.Box{X1: 10, Y1: float32(i), X2: 30, Y2: float32(i + 20)}
	s.Objects = []data.Object{{Class: 0, Box: box, Mask: square}}
	return s, ctx.Err()
}

// all yields the samples in their order.
func (s squares) all(ctx context.Context) iter.Seq2[data.Sample, error] {
	return func(yield func(data.Sample, error) bool) {
		for i := range s.n {
			if !yield(s.Sample(ctx, i)) {
				return
			}
		}
	}
}

// dim is an augmentation.
type dim struct{}

func (dim) Apply(s data.Sample, r *rand.Rand) (data.Sample, error) {
	by := r.IntN(100)
	rgb := make([]uint8, len(s.RGB))
	for i, v := range s.RGB {
		rgb[i] = uint8(max(int(v)-by, 0))
	}
	s.RGB = rgb
	return s, nil
}

func main() {
	ctx, own := context.Background(), squares{40}
	collected, err := data.Collect(own.Classes(), own.all(ctx))
	if err != nil {
		log.Fatal(err)
	}
	for _, set := range []data.Dataset{own, collected} {
		loader, err := data.NewLoader(set, data.LoaderOptions{Batch: 4, Augment: data.Chain{dim{}, data.Flip{Horizontal: 0.5}}})
		if err != nil {
			log.Fatal(err)
		}
		loader.Close()
	}
}
