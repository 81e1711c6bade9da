package checkpoint

import (
	"bytes"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pt "github.com/diffusioninst/go/internal/pickletest"
)

// Pickles of protocols 0 and 1, which testdata/make_protocols.py wrote.
func TestOldProtocols(t *testing.T) {
	for _, name := range []string{"old0.pkl", "old1.pkl"} {
		f, err := Open(filepath.Join("testdata", name))
		require.NoError(t, err, name)
		defer f.Close()
		require.Equal(t, Pickle, f.Format)
		require.Equal(t, map[string]string{
			"note": "größer\n\\u0041 \U0001f600", "iteration": "42", "big": new(big.Int).Lsh(big.NewInt(1), 80).String(), "rate": "0.25", "done": "true",
		}, f.Metadata)
		require.Equal(t, []string{"a.weight", "a.bias"}, tensorNames(f))
		values, err := f.Tensors[0].Float32s()
		require.NoError(t, err)
		require.Equal(t, []float32{1, -2.5, 0.1}, values)
		values, err = f.Tensors[1].Float32s()
		require.NoError(t, err)
		require.Len(t, values, 300)
		require.Equal(t, float32(299), values[299])
		require.Contains(t, f.ReadOver, "mine.Settings")
	}
}

// Cut anywhere, and with any byte changed, there is a typed error or a file.
func TestOldProtocolsDamaged(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "old0.pkl"))
	require.NoError(t, err)
	for n := 0; n < len(raw); n += 7 {
		_, err := Read(bytes.NewReader(raw[:n]), int64(n))
		var e *FormatError
		require.ErrorAs(t, err, &e, n)
		damaged := bytes.Clone(raw)
		damaged[n] ^= 0x15
		fuzzRead(t, damaged)
	}
}

func TestOldStrings(t *testing.T) {
	for raw, want := range map[string]string{
		`'a\x41\'\"\\\n\r\t\0\101\1789\q'`: "aA'\"\\\n\r\t\x00A\x0f89\\q", `"it's"`: "it's", `''`: "",
	} {
		data := "(dp0\nS'n'\nS" + raw + "\nsS'w'\ncnumpy.core.multiarray\n_reconstruct\n(t(tR(I1\n(I2\ntcnumpy\ndtype\n(S'i2'\ntRI00\nS'\\x01\\x00\\x02\\x00'\ntbs."
		data = strings.Replace(data, "(t(tR", "(tR", 1)
		f, err := Read(strings.NewReader(data), int64(len(data)))
		require.NoError(t, err, raw)
		require.Equal(t, want, f.Metadata["n"], raw)
		values, err := f.Tensors[0].Float32s()
		require.NoError(t, err)
		require.Equal(t, []float32{1, 2}, values)
	}
	for program, says := range map[string]string{
		"(dp0\nS'n\ns.": "without quotes", "(dp0\nSn\ns.": "without quotes", "(dp0\nS'\\\\\\'\ns.": "damaged escape", "(dp0\nS'\\x4'\ns.": "damaged escape",
		"(dp0\nIx\ns.": "an integer is expected", "(dp0\nFx\ns.": "a float is expected", "(dp0\ng-1\ns.": "memo index", "(dp0\np99999999999\n.": "memo index",
		"(dp0\ng7\ns.": "never stored", "(dp0\nI" + strings.Repeat("1", 2000) + "\ns.": "longer than 1024",
		"(dp0\n(o.": "without a class", "(dp0\nimine\nA\n.": "misses a mark", "(dp0\nS.": "ends inside",
	} {
		_, err := Read(strings.NewReader(program), int64(len(program)))
		require.ErrorIs(t, err, ErrCorrupt, program)
		require.ErrorContains(t, err, says, program)
	}
}

// In protocol 0 PyTorch names storages by text, which it cannot read itself: files of testdata/make_protocol0.py.
func TestStoragesNamedByText(t *testing.T) {
	for name, format := range map[string]Format{"protocol0.pth": PyTorchZip, "protocol0_legacy.pth": PyTorchLegacy} {
		f, err := Open(filepath.Join("testdata", name))
		require.NoError(t, err, name)
		require.Equal(t, format, f.Format)
		require.Equal(t, "h\u00e9\n", f.Metadata["note"])
		got := map[string][]float32{}
		for _, x := range f.Tensors {
			got[x.Name], err = x.Float32s()
			require.NoError(t, err)
		}
		require.Equal(t, map[string][]float32{"w": {0, 3, 1, 4, 2, 5}, "tied": {0, 3, 1, 4, 2, 5}, "half": {1, 1}, "n": {5}, "p": {2.5}}, got, name)
		require.NoError(t, f.Close())
	}
	// Text of something else stands for an object that is read over; a storage that is not there is an error.
	for id, want := range map[string]error{"('storage', 7)": nil, "anything": nil, "('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 99999999999999999999)": ErrCorrupt} {
		_, err := readPTH(t, pt.Dict{{"a", ones(1)}, {"b", pt.Raw("P" + id + "\n")}})
		require.ErrorIs(t, err, want, id)
	}
	for class, want := range map[string]string{"torch.FloatStorage": "no entry", "mine.Storage": "its values are"} {
		_, err := readPTH(t, pt.Dict{{"w", pt.Raw("ctorch._utils\n_rebuild_tensor_v2\n(P('storage', <class '" + class + "'>, '0', 'cpu', 1)\nK\x00(t(t\x89}tR")}})
		require.ErrorContains(t, err, want, class)
	}
}
