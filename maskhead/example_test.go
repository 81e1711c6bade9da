package maskhead_test

import (
	"context"
	"fmt"
	"image"

	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A head of one layer over one channel: its filter is a weight and a bias. The mask is
// where weight·feature + bias is positive, inside the box.
func ExampleHead_Masks() {
	head := maskhead.Head{Channels: 1, Layers: 1}
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		features := torch.From(s, []float32{-1, 1, -1, 1}, 1, 2, 2) // negative left, positive right
		filters := torch.From(s, []float32{5, 0}, 1, head.Params())
		masks := head.Masks(features, filters, []image.Rectangle{image.Rect(0, 1, 8, 4)}, torch.MaskGeometry{
			Stride: 4, InputW: 8, InputH: 8, OutputW: 8, OutputH: 8, Threshold: 0.5,
		})
		for y := range 5 {
			for x := range 8 {
				fmt.Print(map[bool]string{false: ".", true: "#"}[masks[0].Get(x, y)])
			}
			fmt.Println()
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// ........
	// .....###
	// .....###
	// .....###
	// ........
}

func ExampleBranch_Forward() {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
		defer store.Close()
		branch, err := maskhead.NewBranch(store.Root(), 16, maskhead.BranchConfig{Width: 32})
		if err != nil {
			return err
		}
		var levels []*torch.Tensor // of a picture of 128×64 pixels
		for _, stride := range []int{4, 8, 16, 32} {
			levels = append(levels, s.Zeros(torch.F32(torch.CPU), 1, 16, 64/stride, 128/stride))
		}
		fmt.Println(branch.Forward(levels).Shape())
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: [1 8 16 32]
}
