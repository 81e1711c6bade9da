// Command custom_backbone plugs a network of its own into DiffusionInst: a plain pyramid
// of convolutions. It is untrained, so the instances that it prints mean nothing.
//
//	go run ./examples/custom_backbone examples/segment_image/nuclei.png
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// pyramid halves the picture with each convolution.
type pyramid struct{ stem, p2, p3, p4, p5 *nn.Conv2d }

const channels = 64

func build(p nn.Path) (backbone.Backbone, error) {
	halve := func(name string, in, out int) *nn.Conv2d {
		return nn.NewConv2d(p.Sub(name), in, out, nn.ConvOptions{Kernel: 3, Stride: 2, Norm: nn.BatchNorm, ReLU: true})
	}
	return &pyramid{
		stem: halve("stem", 3, channels/2), p2: halve("p2", channels/2, channels), p3: halve("p3", channels, channels),
		p4: halve("p4", channels, channels), p5: halve("p5", channels, channels),
	}, nil
}

func (n *pyramid) Strides() []int { return []int{4, 8, 16, 32} }

func (n *pyramid) Channels() int { return channels }

func (n *pyramid) Forward(x *torch.Tensor) []*torch.Tensor {
	p2 := n.p2.Forward(n.stem.Forward(x))
	p3 := n.p3.Forward(p2)
	p4 := n.p4.Forward(p3)
	return []*torch.Tensor{p2, p3, p4, n.p5.Forward(p4)}
}

const usage = `usage: custom_backbone PICTURE

Runs DiffusionInst on a backbone that this example defines, on a picture.
The weights are random, so the instances that it prints mean nothing:

  go run ./examples/custom_backbone examples/segment_image/nuclei.png
`

func main() {
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage) }
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, path string) error {
	config := diffusioninst.Config{Backbone: backbone.BuilderFunc(build), Classes: []string{"nucleus"}, Proposals: 50}
	config.Decoder.Hidden = channels // as wide as the pyramid
	config.Input.Short = 320
	model, err := diffusioninst.New(ctx, config, 1, torch.CPU)
	if err != nil {
		return err
	}
	defer model.Close()
	img, err := picture.Open(path, picture.Options{})
	if err != nil {
		return err
	}
	result, err := model.Segment(ctx, img, diffusioninst.Options{Score: -1, Limit: 5, Seed: 1})
	if err != nil {
		return err
	}
	for _, i := range result.Instances {
		fmt.Printf("%s %.3f at %v, %d pixels\n", i.Name, i.Score, i.Box, i.Area())
	}
	return nil
}
