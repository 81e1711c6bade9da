package nn

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// A Path is a prefix of parameter names in a store, such as
// "backbone.bottom_up.res2".
type Path struct {
	store  *Store
	prefix string
}

// Sub returns the path below p; each part, a string or a number, adds a level.
func (p Path) Sub(parts ...any) Path {
	for _, part := range parts {
		p.prefix = p.join(fmt.Sprint(part))
	}
	return p
}

func (p Path) join(name string) string {
	if p.prefix == "" {
		return name
	}
	return p.prefix + "." + name
}

// String returns the prefix.
func (p Path) String() string { return p.prefix }

// Parameter returns a trained tensor, which lives as long as the store.
func (p Path) Parameter(name string, init Init, shape ...int) *torch.Tensor {
	return p.store.get(p.join(name), shape, init, false)
}

// Buffer returns a tensor that is saved with the model but not trained.
func (p Path) Buffer(name string, init Init, shape ...int) *torch.Tensor {
	return p.store.get(p.join(name), shape, init, true)
}

// Inference reports whether the store's parameters will never be trained.
func (p Path) Inference() bool { return p.store.options.Inference }

// Eager reports whether modules must round as PyTorch's do; see StoreOptions.
func (p Path) Eager() bool { return p.store.options.Eager }

// Compute is the type in which the store's convolutions and linear maps multiply.
func (p Path) Compute() torch.DType { return p.store.options.Compute }

// Device is where the store's parameters live.
func (p Path) Device() torch.Device { return p.store.options.Device }
