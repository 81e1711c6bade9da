package decoder_test

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A small decoder with random weights refines two boxes over a pyramid of three levels.
func ExampleDecoder_Forward() {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
		defer store.Close()
		d, err := decoder.New(store.Root().Sub("head"), []int{4, 8, 16}, decoder.Config{
			Classes: 3, Hidden: 16, Heads: 4, Dynamic: 8, FeedForward: 32, Stages: 2,
		})
		if err != nil {
			return err
		}
		var levels []*torch.Tensor // of a picture of 128×64 pixels
		for _, stride := range []int{4, 8, 16} {
			levels = append(levels, s.Randn(torch.NewGenerator(1), torch.Float32, 1, 16, 64/stride, 128/stride))
		}
		boxes := torch.From(s, []float32{10, 10, 40, 30, 60, 20, 100, 60}, 1, 2, 4)
		stages, err := d.Forward(levels, boxes, []float64{999}, false)
		if err != nil {
			return err
		}
		last := stages[len(stages)-1]
		fmt.Println("boxes", last.Boxes.Shape(), "logits", last.Logits.Shape(), "filters", last.Filters.Shape())
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: boxes [1 2 4] logits [1 2 3] filters [1 2 153]
}

func ExampleConfig_WithDefaults() {
	c, err := decoder.Config{Classes: 80}.WithDefaults()
	fmt.Println(c.Hidden, c.Stages, err)
	_, err = decoder.Config{Classes: 80, Heads: 7}.WithDefaults()
	fmt.Println(err)
	// Output:
	// 256 6 <nil>
	// decoder: Heads is 7, which does not divide Hidden, 256
}
