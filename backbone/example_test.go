package backbone_test

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func ExampleResNetFPN() {
	pyramid(backbone.ResNetFPN{ResNet: backbone.ResNet{Depth: 18}})
	// Output:
	// stride 4: [1 256 16 24]
	// stride 8: [1 256 8 12]
	// stride 16: [1 256 4 6]
	// stride 32: [1 256 2 3]
}

func ExampleSwinFPN() {
	pyramid(backbone.SwinFPN{Swin: backbone.Swin{Size: "T", Window: 12}, Channels: 128})
	// Output:
	// stride 4: [1 128 16 24]
	// stride 8: [1 128 8 12]
	// stride 16: [1 128 4 6]
	// stride 32: [1 128 2 3]
}

func ExampleSwinOfSize() {
	c, err := backbone.SwinOfSize("B-22k-384")
	fmt.Println(c.EmbedDim, c.Depths, c.Heads, c.Window, err)
	_, err = backbone.SwinOfSize("huge")
	fmt.Println(err != nil)
	// Output:
	// 128 [2 2 18 2] [4 8 16 32] 12 <nil>
	// true
}

func ExampleBuilderFunc() {
	pyramid(backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
		return &patches{nn.NewConv2d(p.Sub("patch"), 3, 8, nn.ConvOptions{Kernel: 3})}, nil
	}))
	// Output:
	// stride 4: [1 8 16 24]
	// stride 8: [1 8 8 12]
	// stride 16: [1 8 4 6]
}

// patches is a backbone that the example defines: one convolution at three sizes.
type patches struct{ conv *nn.Conv2d }

func (b *patches) Strides() []int { return []int{4, 8, 16} }

func (b *patches) Channels() int { return 8 }

func (b *patches) Forward(x *torch.Tensor) []*torch.Tensor {
	var out []*torch.Tensor
	for _, stride := range b.Strides() {
		size := []int{x.Size(2) / stride, x.Size(3) / stride}
		out = append(out, b.conv.Forward(x.UpsampleBilinear2d(size, false)))
	}
	return out
}

// pyramid prints what a backbone with random parameters makes of a picture of 64×96 pixels.
func pyramid(b backbone.Builder) {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
		defer store.Close()
		net, err := b.Build(store.Root().Sub("backbone"))
		if err != nil {
			return err
		}
		for i, level := range net.Forward(s.Zeros(torch.F32(torch.CPU), 1, 3, 64, 96)) {
			fmt.Printf("stride %d: %v\n", net.Strides()[i], level.Shape())
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
}
