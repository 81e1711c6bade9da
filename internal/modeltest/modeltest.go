// Package modeltest holds what the tests of several networks need: tensor work that is
// checked for leaks, the devices to test on, and the weights and tensors of golden cases.
package modeltest

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Do runs f on a tensor worker and fails the test if f leaves tensors behind.
func Do(t testing.TB, f func(s *torch.Scope)) {
	t.Helper()
	before := torch.Live()
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		f(s)
		return nil
	}))
	require.Equal(t, before, torch.Live(), "tensors leaked")
}

// Devices returns the CPU and, if there is one, the first GPU.
func Devices() []torch.Device {
	if torch.CUDADevices() == 0 {
		return []torch.Device{torch.CPU}
	}
	return []torch.Device{torch.CPU, torch.CUDA(0)}
}

// EachDevice runs f as a subtest on each of Devices.
func EachDevice(t *testing.T, f func(t *testing.T, device torch.Device)) {
	for _, device := range Devices() {
		t.Run(device.String(), func(t *testing.T) { f(t, device) })
	}
}

// Weights holds the parameters of a golden case by name. It is an [nn.Source] that
// computes a parameter's values when a model asks for them.
type Weights map[string]golden.Weight

// GoldenWeights reads the parameter list of the case in dir.
func GoldenWeights(t testing.TB, dir string) Weights {
	t.Helper()
	out := Weights{}
	for _, w := range golden.Weights(t, dir) {
		out[w.Name] = w
	}
	return out
}

// Parameter returns the parameter of a name, nil if the case has none. An error is an
// *nn.ShapeError.
func (w Weights) Parameter(s *torch.Scope, name string, shape []int, _ nn.Init) (*torch.Tensor, error) {
	p, ok := w[name]
	if !ok {
		return nil, nil
	}
	if have := checkpoint.Ints(p.Shape); !slices.Equal(have, shape) {
		return nil, &nn.ShapeError{Have: have}
	}
	return torch.From(s, p.Values(), shape...), nil
}

// Names returns the parameters' names, sorted.
func (w Weights) Names() []string { return slices.Sorted(maps.Keys(w)) }

// RoundsAsGolden reports whether LibTorch rounds on this machine as it did where the
// golden cases were computed: release 1.13 on the CPU, at least two threads, and the
// same OpenBLAS kernels. It compares the bits of two convolutions and a matrix product.
func RoundsAsGolden(t testing.TB) bool {
	t.Helper()
	if !strings.HasPrefix(torch.Version(), "1.13.") {
		return false
	}
	const golden = 5408102193229841278
	h := fnv.New64a()
	Do(t, func(s *torch.Scope) {
		g := torch.NewGenerator(1)
		random := func(shape ...int) *torch.Tensor { return s.Randn(g, torch.Float32, shape...) }
		one := []int{1, 1}
		for _, y := range []*torch.Tensor{
			random(1, 32, 24, 40).Conv2d(random(64, 32, 1, 1), random(64), one, []int{0, 0}, one, 1),
			random(1, 64, 24, 40).Conv2d(random(64, 64, 3, 3), nil, one, one, one, 1),
			random(100, 3136).Linear(random(64, 3136), random(64)),
		} {
			require.NoError(t, binary.Write(h, binary.LittleEndian, torch.Values[float32](y)))
		}
	})
	return h.Sum64() == golden
}

// Tensor returns the named tensor of a golden case's file, on the CPU.
func Tensor(t testing.TB, s *torch.Scope, file *checkpoint.File, name string) *torch.Tensor {
	t.Helper()
	entry, ok := file.Tensor(name)
	require.True(t, ok, "the case has no %s", name)
	data := make([]byte, entry.Elements()*int64(entry.DType.Size()))
	require.NoError(t, entry.ReadInto(data))
	types := map[checkpoint.DType]torch.DType{checkpoint.Float32: torch.Float32, checkpoint.Float64: torch.Float64,
		checkpoint.Int64: torch.Int64, checkpoint.Int32: torch.Int32, checkpoint.Uint8: torch.Uint8}
	return s.FromBytes(data, types[entry.DType], torch.CPU, checkpoint.Ints(entry.Shape)...)
}
