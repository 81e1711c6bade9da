// Command backbone makes a model whose backbone is its own.
package main

import (
	"context"
	"log"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// pyramid halves a picture once per convolution.
type pyramid struct{ levels []*nn.Conv2d }

func build(p nn.Path) (backbone.Backbone, error) {
	var n pyramid
	in := 3
	for i := range 5 {
		n.levels = append(n.levels, nn.NewConv2d(p.Sub("level", i), in, 64, nn.ConvOptions{Kernel: 3, Stride: 2, Norm: nn.BatchNorm, ReLU: true}))
		in = 64
	}
	return &n, nil
}

func (*pyramid) Strides() []int { return []int{4, 8, 16, 32} }

func (*pyramid) Channels() int { return 64 }

func (n *pyramid) Forward(x *torch.Tensor) []*torch.Tensor {
	var out []*torch.Tensor
	for _, level := range n.levels {
		x = level.Forward(x)
		out = append(out, x)
	}
	return out[1:]
}

func main() {
	config := diffusioninst.Config{Backbone: backbone.BuilderFunc(build), Classes: []string{"cell"}}
	config.Decoder.Hidden = 64
	model, err := diffusioninst.New(context.Background(), config, 1, torch.CPU)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
}
