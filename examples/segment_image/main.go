// Command segment_image finds the instances in a picture and draws them:
//
//	go run ./examples/segment_image examples/segment_image/nuclei.png overlay.png
//
// Without a checkpoint the built-in model finds cell nuclei.
package main

import (
	"context"
	"flag"
	"fmt"
	"image/png"
	"log"
	"os"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nuclei"
	"github.com/diffusioninst/go/picture"
)

const usage = `usage: segment_image PICTURE OVERLAY.png [CHECKPOINT]

Finds the instances in a picture, prints them and draws them into another.
Without a checkpoint (.pth, .pkl, .safetensors) the built-in model finds cell nuclei:

  go run ./examples/segment_image examples/segment_image/nuclei.png overlay.png
`

func main() {
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if flag.NArg() < 2 {
		flag.Usage()
		os.Exit(2)
	}
	ctx := context.Background()
	var model *diffusioninst.Model
	var err error
	if flag.NArg() > 2 {
		model, err = diffusioninst.Load(ctx, flag.Arg(2), diffusioninst.LoadOptions{})
	} else {
		model, err = nuclei.Load(ctx, diffusioninst.LoadOptions{})
	}
	check(err)
	defer model.Close()

	img, err := picture.Open(flag.Arg(0), picture.Options{Normalize: picture.Auto})
	check(err)
	result, err := model.Segment(ctx, img, diffusioninst.Options{})
	check(err)
	for _, instance := range result.Instances {
		fmt.Println(instance.Name, instance.Score, instance.Box, instance.Area())
	}
	overlay, err := mask.Overlay(img, result.OverlayItems(), mask.OverlayOptions{})
	check(err)
	out, err := os.Create(flag.Arg(1))
	check(err)
	check(png.Encode(out, overlay))
	check(out.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
