package diffusioninst_test

import (
	"context"
	"fmt"
	"image"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/torch"
)

func ExampleAugment() {
	ctx := context.Background()
	model, err := diffusioninst.New(ctx, tiny(), 1, torch.CPU)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	views := diffusioninst.Augment{Scales: []int{48, 64, 80}, Flip: true}
	result, err := model.Segment(ctx, image.NewRGBA(image.Rect(0, 0, 96, 64)), diffusioninst.Options{Score: -1, Limit: 2, Augment: views})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, instance := range result.Instances {
		fmt.Println(instance.Name, instance.Mask.Bounds())
	}
	// Output:
	// nucleus (0,0)-(96,64)
	// nucleus (0,0)-(96,64)
}
