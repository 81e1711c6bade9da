package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// expectedFile is an entry of testdata/expected.json, which testdata/make.py writes.
type expectedFile struct {
	Metadata map[string]string `json:"metadata"`
	Tensors  []struct {
		Name   string    `json:"name"`
		DType  string    `json:"dtype"`
		Shape  []int64   `json:"shape"`
		Values []float64 `json:"values"`
	} `json:"tensors"`
}

func expectedFiles(t testing.TB) map[string]expectedFile {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "expected.json"))
	require.NoError(t, err)
	var files map[string]expectedFile
	require.NoError(t, json.Unmarshal(raw, &files))
	require.NotEmpty(t, files)
	return files
}

var formatOf = map[string]Format{
	"zip.pth": PyTorchZip, "plain.pth": PyTorchZip, "untyped.pth": PyTorchZip, "big_endian.pth": PyTorchZip,
	"state_dict.pth": PyTorchZip, "nested.pth": PyTorchZip, "rich.pth": PyTorchZip,
	"legacy.pth": PyTorchLegacy, "legacy_view.pth": PyTorchLegacy,
	"numpy2.pkl": Pickle, "numpy3.pkl": Pickle, "numpy4.pkl": Pickle, "numpy5.pkl": Pickle,
	"tensors2.pkl": Pickle, "tensors4.pkl": Pickle, "numpy_2.x.pkl": Pickle, "python2.pkl": Pickle,
}

// TestRead holds every file that testdata/make.py wrote against the values that
// PyTorch and NumPy gave for it.
func TestRead(t *testing.T) {
	files := expectedFiles(t)
	require.Len(t, files, len(formatOf))
	for name, want := range files {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", name))
			require.NoError(t, err)
			defer f.Close()
			require.Equal(t, formatOf[name], f.Format)
			if diff := cmp.Diff(want.Metadata, f.Metadata); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			require.Len(t, f.Tensors, len(want.Tensors))
			for i, w := range want.Tensors {
				got := f.Tensors[i]
				require.Equal(t, w.Name, got.Name)
				require.Equal(t, w.DType, got.DType.String(), w.Name)
				require.Equal(t, w.Shape, append([]int64{}, got.Shape...), w.Name)
				found, ok := f.Tensor(w.Name)
				require.True(t, ok)
				require.Same(t, got, found)

				raw := make([]byte, got.Elements()*int64(got.DType.Size()))
				require.NoError(t, got.ReadInto(raw), w.Name)
				if want, ok := encode(w.Values, got.DType); ok {
					require.Equal(t, want, raw, w.Name)
				}
				values, err := got.Float32s()
				require.NoError(t, err)
				require.Equal(t, toBits(w.Values), bits(values), w.Name)
			}
		})
	}
}

// encode writes values little-endian; it leaves the 16-bit floats to Float32s.
func encode(values []float64, d DType) ([]byte, bool) {
	le := binary.LittleEndian
	out := []byte{}
	for _, v := range values {
		switch d {
		case Float64:
			out = le.AppendUint64(out, math.Float64bits(v))
		case Float32:
			out = le.AppendUint32(out, math.Float32bits(float32(v)))
		case Int64:
			out = le.AppendUint64(out, uint64(int64(v)))
		case Int32:
			out = le.AppendUint32(out, uint32(int32(v)))
		case Int16:
			out = le.AppendUint16(out, uint16(int16(v)))
		case Int8, Uint8, Bool:
			out = append(out, byte(int64(v)))
		default:
			return nil, false
		}
	}
	return out, true
}

func bits(values []float32) []uint32 {
	out := make([]uint32, len(values))
	for i, v := range values {
		out[i] = math.Float32bits(v)
	}
	return out
}

func toBits(values []float64) []uint32 {
	out := make([]uint32, len(values))
	for i, v := range values {
		out[i] = math.Float32bits(float32(v))
	}
	return out
}

func TestPart(t *testing.T) {
	for _, name := range []string{"zip.pth", "legacy.pth"} {
		f, err := Open(filepath.Join("testdata", name))
		require.NoError(t, err)
		defer f.Close()
		part, ok := f.Part("optimizer")
		require.True(t, ok)
		require.Len(t, part.Tensors, 1)
		moment, ok := part.Tensor("state.0.exp_avg")
		require.True(t, ok)
		v, err := moment.Float32s()
		require.NoError(t, err)
		require.Equal(t, []float32{1, 1}, v)
		for _, key := range []string{"model", "iteration", "names", "missing"} {
			_, ok = f.Part(key)
			require.False(t, ok, key)
		}
		require.NoError(t, part.Close())
		_, err = moment.Float32s()
		require.NoError(t, err, "closing a part leaves the file open")
	}
}

func TestReadConcurrently(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "numpy2.pkl"))
	require.NoError(t, err)
	defer f.Close()
	want, err := f.Tensors[0].Float32s()
	require.NoError(t, err)
	var wg sync.WaitGroup
	got := make([][]float32, 16)
	errs := make([]error, len(got))
	for i := range got {
		wg.Go(func() { got[i], errs[i] = f.Tensors[0].Float32s() })
	}
	wg.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, want, got[i])
	}
}

func TestReadIntoWrongLength(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "plain.pth"))
	require.NoError(t, err)
	defer f.Close()
	require.ErrorContains(t, f.Tensors[0].ReadInto(make([]byte, 95)), "95 bytes given for 96")
}

func TestReadAfterClose(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "plain.pth"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = f.Tensors[0].Float32s()
	require.ErrorIs(t, err, fs.ErrClosed)
	var e *FormatError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "plain", e.Tensor)
}

// TestFloat16 compares all 65536 halves with their definition.
func TestFloat16(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1-2*float64(h>>15), h>>10&0x1f, float64(h&0x3ff)
		want := sign * math.Ldexp(1+frac/1024, exp-15)
		switch {
		case exp == 0:
			want = sign * math.Ldexp(frac, -24)
		case exp == 0x1f && frac == 0:
			want = math.Inf(int(sign))
		case exp == 0x1f:
			require.True(t, math.IsNaN(float64(float16(uint16(h)))))
			continue
		}
		if got := float16(uint16(h)); math.Float32bits(got) != math.Float32bits(float32(want)) && !(want == 0 && got == 0) {
			t.Fatalf("float16(%#x) = %v, want %v", h, got, want)
		}
	}
	require.True(t, math.Signbit(float64(float16(0x8000))))
}
