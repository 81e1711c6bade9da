package nuclei_test

import (
	"context"
	"fmt"
	"image/png"
	"os"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nuclei"
)

func ExampleLoad() {
	ctx := context.Background()
	model, err := nuclei.Load(ctx, diffusioninst.LoadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	file, err := os.Open("../examples/segment_image/nuclei.png")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := model.Segment(ctx, img, diffusioninst.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the surest one is a", result.Instances[0].Name)
	// Output: the surest one is a nucleus
}
