package backbone

import (
	"hash/fnv"
	"math"
	"strings"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// scattered is a source whose parameters all matter: no bias is zero and no norm
// is the identity.
type scattered uint64

func (seed scattered) Parameter(s *torch.Scope, name string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	h := fnv.New64a()
	h.Write([]byte(name))
	g := torch.NewGenerator(uint64(seed) ^ h.Sum64())
	u := s.Rand(g, torch.Float32, shape...).AddScalar(-0.5)
	fan := 1.0
	for _, n := range shape[1:] {
		fan *= float64(n)
	}
	switch {
	case strings.HasSuffix(name, "position_bias_table"):
		return u.MulScalar(4), nil
	case len(shape) > 1:
		return u.MulScalar(3).DivScalar(max(1, math.Sqrt(fan))), nil
	case strings.HasSuffix(name, ".weight"), strings.HasSuffix(name, ".running_var"):
		return u.AddScalar(1), nil
	}
	return u, nil
}

func (scattered) Names() []string { return nil }

// zeros is a source for tests that look at names and shapes only.
type zeros struct{}

func (zeros) Parameter(s *torch.Scope, _ string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	return s.Zeros(torch.F32(torch.CPU), shape...), nil
}

func (zeros) Names() []string { return nil }

// distance is ‖got−want‖/‖want‖.
func distance(got, want *torch.Tensor) float64 {
	got, want = got.ToDType(torch.Float64), want.ToDType(torch.Float64)
	return got.Sub(want).Norm().Item() / want.Norm().Item()
}
