package backbone

import (
	"errors"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A Backbone computes a feature pyramid of pictures.
type Backbone interface {
	// Forward returns the features of normalised and padded pictures (B,3,H,W), finest
	// level first; level i is (B,Channels,H/Strides[i],W/Strides[i]). H and W are
	// multiples of the largest stride.
	Forward(x *torch.Tensor) []*torch.Tensor
	// Strides returns every level's stride in pixels of the input. Each is twice the one
	// before, and there are at least three.
	Strides() []int
	// Channels returns the number of channels, which all levels share.
	Channels() int
}

// A Builder builds a Backbone. A model's configuration holds one.
type Builder interface {
	// Build returns a Backbone whose parameters are below p.
	Build(p nn.Path) (Backbone, error)
}

// A BuilderFunc is a function that is a Builder.
type BuilderFunc func(p nn.Path) (Backbone, error)

// Build returns f(p).
func (f BuilderFunc) Build(p nn.Path) (Backbone, error) {
	if f == nil {
		return nil, errors.New("backbone: the BuilderFunc is nil")
	}
	return f(p)
}

// bottomUp is the network below a feature pyramid, with features of strides 4, 8, 16, 32.
type bottomUp interface {
	features(x *torch.Tensor) []*torch.Tensor
	channels() []int
}
