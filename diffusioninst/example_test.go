package diffusioninst_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// tiny is a model that an example can afford.
func tiny() diffusioninst.Config {
	return diffusioninst.Config{
		Backbone:   backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Width: 8}},
		Decoder:    decoder.Config{Hidden: 16, Dynamic: 4, FeedForward: 32, Heads: 2, Stages: 2},
		MaskBranch: maskhead.BranchConfig{Width: 8},
		Classes:    []string{"nucleus"},
		Proposals:  20,
		Input:      diffusioninst.Input{Short: 64, Longest: 128},
	}
}

func ExampleModel_Segment() {
	ctx := context.Background()
	model, err := diffusioninst.New(ctx, tiny(), 1, torch.CPU)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	img := image.NewRGBA(image.Rect(0, 0, 96, 64))
	result, err := model.Segment(ctx, img, diffusioninst.Options{Score: -1, Limit: 5, Seed: 1})
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
	// nucleus (0,0)-(96,64)
	// nucleus (0,0)-(96,64)
	// nucleus (0,0)-(96,64)
}

func ExampleModel_SegmentBatch() {
	ctx := context.Background()
	model, err := diffusioninst.New(ctx, tiny(), 1, torch.CPU)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	images := []image.Image{image.NewRGBA(image.Rect(0, 0, 96, 64)), image.NewRGBA(image.Rect(0, 0, 50, 70))}
	results, err := model.SegmentBatch(ctx, images, diffusioninst.Options{Steps: 2})
	fmt.Println(len(results), results[1].Width, results[1].Height, err)
	// Output: 2 50 70 <nil>
}

func ExampleLoad() {
	model, err := diffusioninst.Load(context.Background(), "no-such-file.pth", diffusioninst.LoadOptions{})
	if err != nil {
		fmt.Println(errors.Is(err, os.ErrNotExist))
		return
	}
	defer model.Close()
	// Output: true
}

func ExampleLoadConfig() {
	config, warnings, err := diffusioninst.LoadConfig("../internal/golden/testdata/mini_r50s_4step/config.yaml")
	fmt.Println(len(config.Classes), config.Proposals, config.Sampling.Steps, len(warnings), err)
	// Output: 80 20 4 0 <nil>
}

// A part of the model is swapped by setting a field.
func ExampleConfig() {
	config := diffusioninst.ResNet50COCO()
	config.Backbone = backbone.SwinFPN{Swin: backbone.Swin{Size: "T"}}
	config.Sampling = sampler.Config{Sampler: sampler.DDIM{Eta: 0}, Steps: 4, Renewal: sampler.TopFraction(0.5)}
	config, err := config.WithDefaults()
	fmt.Println(config.Sampling.Sampler, config.Sampling.Steps, config.Decoder.Stages, err)
	// Output: DDIM(η=0) 4 6 <nil>
}
