package nn

import (
	"errors"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// A Path is a prefix of parameter names in a store, such as
// "backbone.bottom_up.res2".
type Path struct {
	store  *Store
	prefix string
	exact  bool
}

// Check returns an error for the zero Path, and for one of a Store that NewStore has not made. Other methods
// than Sub and String panic then.
func (p Path) Check() error {
	if p.store == nil || p.store.source == nil {
		return errors.New("nn: a path of no Store: Store.Root gives the first one")
	}
	return nil
}

func (p Path) owner() *Store {
	if err := p.Check(); err != nil {
		panic(err.Error())
	}
	return p.store
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
	return p.owner().get(p.join(name), shape, init, false)
}

// Buffer returns a tensor that is saved with the model but not trained.
func (p Path) Buffer(name string, init Init, shape ...int) *torch.Tensor {
	return p.owner().get(p.join(name), shape, init, true)
}

// Inference reports whether the store's parameters will never be trained.
func (p Path) Inference() bool { return p.owner().options.Inference }

// Eager reports whether modules must round as PyTorch's do; see StoreOptions.
func (p Path) Eager() bool { return p.owner().options.Eager }

// Compute returns the type in which convolutions and linear maps below the path multiply.
func (p Path) Compute() torch.DType {
	if p.exact {
		return p.DType()
	}
	return p.owner().options.Compute
}

// DType returns the type of the store's parameters.
func (p Path) DType() torch.DType { return p.owner().options.DType }

// Exact returns the path for modules that multiply in the parameters' type in inference,
// whatever the store's Compute is: where rounding would be seen in results. In training it is
// the path itself, as gradients average over roundings.
func (p Path) Exact() Path {
	p.exact = p.Inference()
	return p
}

// Pack replaces parameters, or what was stored of them in another type, by what is made of them, which lives as long as the store. It
// is for inference.
func (p Path) Pack(parameters []*torch.Tensor, pack func([]*torch.Tensor) *torch.Tensor) *torch.Tensor {
	s := torch.NewScope()
	defer s.Close()
	adopted := make([]*torch.Tensor, len(parameters))
	for i, t := range parameters {
		adopted[i] = s.Adopt(t)
	}
	made := pack(adopted)
	p.owner().fold(parameters, made)
	return made
}

// Constant returns what made makes, which lives as long as the store and is not a parameter of the model: tables on the store's
// device, which a forward pass would otherwise upload each time.
func (p Path) Constant(made func(s *torch.Scope) *torch.Tensor) *torch.Tensor {
	s := torch.NewScope()
	defer s.Close()
	t := made(s).Keep()
	st := p.owner()
	st.fixed = append(st.fixed, t)
	return t
}

// fuses reports whether modules join operators on a GPU into single launches, through which no gradients flow.
func (p Path) fuses() bool { return p.Inference() && !p.Eager() && p.Device().IsCUDA() }

// Device returns where the store's parameters live.
func (p Path) Device() torch.Device { return p.owner().options.Device }
