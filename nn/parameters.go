package nn

import (
	"slices"

	"github.com/diffusioninst/go/torch"
)

type fromParameters map[string]*Parameter

// FromParameters returns a Source of the values that parameters have when it is asked for
// them, such as a Store's parameters or the averages of an EMA. It copies them.
func FromParameters(list []*Parameter) Source {
	out := fromParameters{}
	for _, p := range list {
		out[p.Name] = p
	}
	return out
}

func (f fromParameters) Parameter(s *torch.Scope, name string, shape []int, _ Init) (*torch.Tensor, error) {
	p, ok := f[name]
	if !ok {
		return nil, nil
	}
	if have := p.Tensor.Shape(); !slices.Equal(have, shape) {
		return nil, &ShapeError{Have: have}
	}
	values := s.Hold(func() *torch.Tensor { return s.Adopt(p.Tensor).Detach().Clone().To(torch.CPU) })
	if values.IsFinite().All().Item() == 0 {
		return nil, ErrNotFinite
	}
	return values, nil
}

func (f fromParameters) Names() []string {
	out := make([]string, 0, len(f))
	for name := range f {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
