//go:build cgo

package nuclei_test

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/picture"
)

func ExampleLoad() {
	ctx := context.Background()
	model, err := nuclei.Load(ctx, diffusioninst.LoadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	img, err := picture.Open("../examples/segment_image/nuclei.png", picture.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := model.Segment(ctx, img, diffusioninst.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the best one is a", result.Instances[0].Name)
	// Output: the best one is a nucleus
}
