package checkpoint

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// TestGolden compares the checkpoint files among the golden cases with the computed weights, bit for bit.
func TestGolden(t *testing.T) {
	folders := golden.With(t, "model.pth", "weights.json")
	if len(folders) == 0 {
		t.Skip("no golden case with a checkpoint file here")
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			weights := golden.Weights(t, folder)
			f, err := Open(filepath.Join(folder, "model.pth"))
			require.NoError(t, err)
			defer f.Close()
			var params []Param
			for _, p := range weights {
				params = append(params, Param{p.Name, p.Shape})
				tensor, ok := f.Tensor(p.Name)
				require.True(t, ok, p.Name)
				require.Equal(t, Float32, tensor.DType, p.Name)
				require.Equal(t, p.Shape, append([]int64{}, tensor.Shape...), p.Name)
				got, err := tensor.Float32s()
				require.NoError(t, err)
				want := p.Values()
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s[%d] = %v, want %v", p.Name, i, got[i], want[i])
					}
				}
			}
			others := 0
			for _, tensor := range f.Tensors {
				if tensor.DType != Float32 {
					others++
				}
			}
			require.Equal(t, len(weights)+others, len(f.Tensors))
			m, err := Match(f, params)
			require.NoError(t, err)
			require.Len(t, m.Tensors, len(params))
			require.Empty(t, m.Mismatched)
			require.Len(t, m.Unused, others)
			t.Logf("%d parameters equal, %d tensors of other types, metadata %v", len(weights), others, f.Metadata)
		})
	}
}

// TestGoldenSafetensors reads every value of the golden safetensors files.
func TestGoldenSafetensors(t *testing.T) {
	for _, folder := range golden.With(t, "golden.safetensors") {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			f, err := Open(filepath.Join(folder, "golden.safetensors"))
			require.NoError(t, err)
			defer f.Close()
			require.NotEmpty(t, f.Tensors)
			for _, tensor := range f.Tensors {
				_, err := tensor.Float32s()
				require.NoError(t, err, tensor.Name)
			}
		})
	}
}
