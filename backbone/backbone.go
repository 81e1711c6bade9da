package backbone

import (
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Backbone maps pictures to a pyramid of features.
type Backbone interface {
	// Forward maps normalised and padded pictures (B,3,H,W) to features, finest
	// level first; level i is (B, Channels, ⌈H/Strides[i]⌉, ⌈W/Strides[i]⌉). H and W are
	// multiples of the largest stride.
	Forward(x *torch.Tensor) []*torch.Tensor
	// Strides lists every level's stride in input pixels: doubling, at least three levels.
	Strides() []int
	// Channels is the width of all levels.
	Channels() int
}

// Builder makes a Backbone with parameters below a path. It is what a model's
// configuration holds.
type Builder interface {
	Build(p nn.Path) (Backbone, error)
}

// BuilderFunc makes a function a Builder.
type BuilderFunc func(p nn.Path) (Backbone, error)

// Build calls f.
func (f BuilderFunc) Build(p nn.Path) (Backbone, error) { return f(p) }

// bottomUp is a network that a feature pyramid stands on: features of strides 4, 8, 16, 32.
type bottomUp interface {
	features(x *torch.Tensor) []*torch.Tensor
	channels() []int
}
