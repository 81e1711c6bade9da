package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
)

func npy(descr, order string, shape string, content []byte) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape)
	out := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(header)))...)
	return append(append(out, header...), content...)
}

func TestReadNumPyInts(t *testing.T) {
	read := func(text []byte) (*NumPyInts, error) {
		return ReadNumPyInts(bytes.NewReader(text), int64(len(text)), "masks")
	}
	a, err := read(npy("<u2", "False", "(2, 3)", []byte{1, 0, 2, 0, 3, 0, 4, 0, 5, 1, 6, 0}))
	require.NoError(t, err)
	require.Equal(t, &NumPyInts{[]int64{2, 3}, []uint32{1, 2, 3, 4, 261, 6}}, a)
	a, err = read(npy(">i2", "True", "(2, 3)", []byte{0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6}))
	require.NoError(t, err)
	require.Equal(t, []uint32{1, 2, 3, 4, 5, 6}, a.Values)
	for want, text := range map[string][]byte{
		"not an .npy file":     []byte("PK"),
		"a header of":          []byte("\x93NUMPY\x01\x00\xFF\xFF"),
		"not of whole numbers": npy("<f4", "False", "(1,)", make([]byte, 4)),
		"bytes given":          npy("<u2", "False", "(9, 9)", make([]byte, 4)),
		"a shape with":         npy("<u2", "False", "(9, x)", make([]byte, 4)),
		"negative":             npy("<i2", "False", "(1,)", []byte{0, 0x80}),
	} {
		_, err = read(text)
		require.ErrorContains(t, err, want)
	}
	file := filepath.Join("..", "..", "annotation", "testdata", "u32_seg.npy")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	a, err = read(text)
	require.NoError(t, err)
	require.Equal(t, []int64{12, 17}, a.Shape)
	_, err = ReadNumPyInts(bytes.NewReader(text), int64(len(text)), "none")
	require.ErrorContains(t, err, `no array`)
	_, err = ReadNumPyInts(bytes.NewReader(text), int64(len(text)), "flows")
	require.ErrorContains(t, err, `no array`)
}

func FuzzReadNumPyInts(f *testing.F) {
	for _, name := range []string{"u16_seg.npy", "u32_seg.npy", "plain.npy"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "annotation", "testdata", name))
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var a *NumPyInts
		var err error
		allocation.OfFile(t, len(text), func() { a, err = ReadNumPyInts(bytes.NewReader(text), int64(len(text)), "masks") })
		if err != nil {
			return
		}
		n := int64(1)
		for _, side := range a.Shape {
			n *= side
		}
		require.Len(t, a.Values, int(n))
	})
}
