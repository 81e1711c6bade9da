package checkpoint

import (
	"encoding/json"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// weightsFile is weights.json of a golden case: the formula of every parameter.
type weightsFile struct {
	Seed    uint64 `json:"seed"`
	Tensors []struct {
		Name   string  `json:"name"`
		Shape  []int64 `json:"shape"`
		Offset float64 `json:"offset"`
		Scale  float64 `json:"scale"`
	} `json:"tensors"`
}

func readWeights(t testing.TB, path string) weightsFile {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var w weightsFile
	require.NoError(t, json.Unmarshal(raw, &w))
	require.NotEmpty(t, w.Tensors)
	return w
}

// computed returns n values of the formula in the golden cases' description: a
// splitmix64 sequence that starts from the seed and the name.
func computed(seed uint64, name string, n int64, offset, scale float64) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	z0 := seed ^ h.Sum64()
	out := make([]float32, n)
	for i := range out {
		z := z0 + uint64(i+1)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		u := float64(z>>40) / (1 << 24)
		out[i] = float32(offset + float64(scale*(2*u-1)))
	}
	return out
}

// goldenFolders returns the folders below $DIFFUSIONINST_GOLDEN and the shared
// golden data that hold all of the named files.
func goldenFolders(t testing.TB, files ...string) []string {
	t.Helper()
	var roots, found []string
	if root := os.Getenv("DIFFUSIONINST_GOLDEN"); root != "" {
		roots = append(roots, root)
	}
	shared := filepath.Join("..", "..", "..", "shared", "golden")
	if _, err := os.Stat(shared); err == nil {
		roots = append(roots, shared)
	} else if os.Getenv("CI") == "true" {
		require.NoError(t, err, "the shared golden data must exist in CI")
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			for _, f := range files {
				if _, err := os.Stat(filepath.Join(path, f)); err != nil {
					return nil
				}
			}
			found = append(found, path)
			return nil
		})
		require.NoError(t, err)
	}
	return found
}

// TestGolden holds the checkpoint files among the golden cases against the computed weights, bit for bit.
func TestGolden(t *testing.T) {
	folders := goldenFolders(t, "model.pth", "weights.json")
	if len(folders) == 0 {
		t.Skip("no golden case with a checkpoint file here")
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			w := readWeights(t, filepath.Join(folder, "weights.json"))
			f, err := Open(filepath.Join(folder, "model.pth"))
			require.NoError(t, err)
			defer f.Close()
			var params []Param
			for _, p := range w.Tensors {
				params = append(params, Param{p.Name, p.Shape})
				tensor, ok := f.Tensor(p.Name)
				require.True(t, ok, p.Name)
				require.Equal(t, Float32, tensor.DType, p.Name)
				require.Equal(t, p.Shape, append([]int64{}, tensor.Shape...), p.Name)
				got, err := tensor.Float32s()
				require.NoError(t, err)
				want := computed(w.Seed, p.Name, tensor.Elements(), p.Offset, p.Scale)
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
			require.Equal(t, len(w.Tensors)+others, len(f.Tensors))
			m, err := Match(f, params)
			require.NoError(t, err)
			require.Len(t, m.Tensors, len(params))
			require.Empty(t, m.Mismatched)
			require.Len(t, m.Unused, others)
			t.Logf("%d parameters equal, %d tensors of other types, metadata %v", len(w.Tensors), others, f.Metadata)
		})
	}
}

// TestGoldenSafetensors reads every value of the golden safetensors files.
func TestGoldenSafetensors(t *testing.T) {
	folders := goldenFolders(t, "golden.safetensors")
	if len(folders) == 0 {
		t.Skip("no golden case here")
	}
	for _, folder := range folders {
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
