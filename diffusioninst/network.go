package diffusioninst

import (
	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/nilcheck"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
)

// Network is the network of a model in its parts, for callers that run them themselves, as
// training does. Its parameters have the names of the reference's checkpoints and belong
// to the store that they were built in.
type Network struct {
	Backbone backbone.Backbone
	Branch   *maskhead.Branch // FPN features → mask features
	Decoder  *decoder.Decoder
}

// NewNetwork builds the network that c describes, which has gone through WithDefaults,
// with parameters of the store that root belongs to. It must be called inside torch.Do.
func NewNetwork(root nn.Path, c Config) (*Network, error) {
	if err := root.Check(); err != nil {
		return nil, err
	}
	if nilcheck.Is(c.Backbone) {
		return nil, configError("there is no backbone: WithDefaults gives one")
	}
	n := &Network{}
	var err error
	if n.Backbone, err = c.Backbone.Build(root.Sub("backbone")); err != nil {
		return nil, err
	}
	if nilcheck.Is(n.Backbone) {
		return nil, configError("the backbone %T builds nothing", c.Backbone)
	}
	if have, want := n.Backbone.Channels(), c.Decoder.Hidden; have != want {
		return nil, configError("the backbone's pyramid has %d channels, the decoder's proposal features %d: they must agree", have, want)
	}
	if n.Branch, err = maskhead.NewBranch(root.Sub("head"), n.Backbone.Channels(), c.MaskBranch); err != nil {
		return nil, err
	}
	if have, want := len(n.Backbone.Strides()), len(n.Branch.Refine); have < want {
		return nil, configError("the backbone's pyramid has %d levels, of which the mask branch merges %d", have, want)
	}
	if stride := n.Backbone.Strides()[0]; stride%n.Branch.Upsample != 0 {
		return nil, configError("mask features upsampled by %d do not divide the finest level's stride of %d", n.Branch.Upsample, stride)
	}
	if n.Decoder, err = decoder.New(root.Sub("head"), n.Backbone.Strides(), c.Decoder); err != nil {
		return nil, err
	}
	if c.MaskHead.Coordinates {
		n.Decoder.Place = maskhead.NewPlacement(root, c.MaskHead, n.Backbone.Strides()[0]/n.Branch.Upsample).Of
	}
	return n, nil
}
