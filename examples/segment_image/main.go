// Command segment_image finds the instances in a picture and draws them:
//
//	go run ./examples/segment_image picture.png overlay.png [model.pth]
//
// Without a checkpoint the built-in model finds cell nuclei.
package main

import (
	"context"
	"fmt"
	"image"
	_ "image/jpeg"
	"image/png"
	"log"
	"os"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nuclei"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: segment_image picture overlay.png [model.pth]")
	}
	ctx := context.Background()
	var model *diffusioninst.Model
	var err error
	if len(os.Args) > 3 {
		model, err = diffusioninst.Load(ctx, os.Args[3], diffusioninst.LoadOptions{})
	} else {
		model, err = nuclei.Load(ctx, diffusioninst.LoadOptions{})
	}
	check(err)
	defer model.Close()

	file, err := os.Open(os.Args[1])
	check(err)
	img, _, err := image.Decode(file)
	check(err)
	result, err := model.Segment(ctx, img, diffusioninst.Options{})
	check(err)
	for _, instance := range result.Instances {
		fmt.Println(instance.Name, instance.Score, instance.Box, instance.Area())
	}
	overlay, err := mask.Overlay(img, result.OverlayItems(), mask.OverlayOptions{})
	check(err)
	out, err := os.Create(os.Args[2])
	check(err)
	check(png.Encode(out, overlay))
	check(out.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
