package golden

import (
	"encoding/json"
	"hash/fnv"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/diffusioninst/go/internal/relay"
)

// A Weight is a parameter in a case's weights.json. Its values are not stored but
// computed from a seed; see [Weight.Values].
type Weight struct {
	Name   string  `json:"name"`
	Shape  []int64 `json:"shape"`
	Offset float64 `json:"offset"`
	Scale  float64 `json:"scale"`

	seed uint64
}

// Weights reads the parameter list of the case in dir.
func Weights(t testing.TB, dir string) []Weight {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "weights.json"))
	if err != nil {
		t.Fatalf("golden: %v", err)
	}
	var list struct {
		Seed    uint64   `json:"seed"`
		Tensors []Weight `json:"tensors"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("golden: %s/weights.json: %v", dir, err)
	}
	for i := range list.Tensors {
		list.Tensors[i].seed = list.Seed
	}
	return list.Tensors
}

// Values returns the parameter's values in row-major order: offset + scale·(2u−1), with
// u from a SplitMix64 stream that is seeded by the case's seed and the name's FNV-1a hash.
func (w Weight) Values() []float32 {
	n := int64(1)
	for _, d := range w.Shape {
		n *= d
	}
	h := fnv.New64a()
	h.Write([]byte(w.Name))
	base := w.seed ^ h.Sum64()
	out := make([]float32, n)
	parts := runtime.NumCPU()
	chunk := n/int64(parts) + 1
	relay.Each(parts, parts, func(part int) {
		for i := int64(part) * chunk; i < min(int64(part+1)*chunk, n); i++ {
			z := base + uint64(i+1)*0x9E3779B97F4A7C15
			z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
			z = (z ^ (z >> 27)) * 0x94D049BB133111EB
			z ^= z >> 31
			u := float64(z>>40) / (1 << 24)
			out[i] = float32(w.Offset + w.Scale*(2*u-1))
		}
	})
	return out
}
