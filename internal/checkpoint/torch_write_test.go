package checkpoint

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/stretchr/testify/require"
)

// mixed are tensors of every type, of odd sizes, a scalar and an empty one, with metadata.
func mixed() ([]Source, map[string]string) {
	var out []Source
	for d := range dtypes {
		dtype := DType(d)
		if dtype == 0 {
			continue
		}
		for _, shape := range [][]int64{{}, {3}, {2, 5, 7}, {0, 4}} {
			n, _ := elements(shape)
			data := make([]byte, n*int64(dtype.Size()))
			for i := range data {
				data[i] = byte(i % 7 & 1) // a truth value, too
				if dtype != Bool {
					data[i] = byte(37 * (i + d))
				}
			}
			out = append(out, Source{Name: dtype.String() + strings.Repeat(".ä", len(shape)) + strings.Repeat("_", int(n%64)), DType: dtype, Shape: shape,
				WriteTo: func(w io.Writer) error { _, err := w.Write(data); return err }})
		}
	}
	return out, map[string]string{"diffusioninst": `{"name":"Grüße"}`, "empty": "", "long": strings.Repeat("long ", 20000)}
}

func content(t *testing.T, s Source) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.write(&b))
	return b.Bytes()
}

func TestPyTorchRoundTrip(t *testing.T) {
	sources, metadata := mixed()
	var b bytes.Buffer
	require.NoError(t, WritePyTorch(&b, sources, metadata))
	f, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	require.Equal(t, PyTorchZip, f.Format)
	require.Equal(t, metadata, f.Metadata)
	require.Len(t, f.Tensors, len(sources))
	for i, want := range sources {
		got := f.Tensors[i]
		require.Equal(t, want.Name, got.Name)
		require.Equal(t, want.DType, got.DType)
		require.Equal(t, want.Shape, append([]int64{}, got.Shape...))
		require.Equal(t, content(t, want), content(t, got.Source()))
		require.Zero(t, got.view.store.off%alignment, want.Name)
	}
}

// The archive is one that any unpacker checks and takes.
func TestPyTorchArchive(t *testing.T) {
	sources, metadata := mixed()
	var b bytes.Buffer
	require.NoError(t, WritePyTorch(&b, sources, metadata))
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	require.Len(t, z.File, len(sources)+3)
	for _, e := range z.File {
		require.Equal(t, zip.Store, e.Method)
		require.Zero(t, e.Flags&8, "sizes come before the values")
		r, err := e.Open()
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r)
		require.NoError(t, err, "the sum of %s", e.Name)
	}
}

// TestPyTorchLoads gives a file to PyTorch itself, where a Python has it.
func TestPyTorchLoads(t *testing.T) {
	python := pythonWithTorch(t)
	sources, metadata := mixed()
	path := filepath.Join(t.TempDir(), "mixed.pth")
	file, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, WritePyTorch(file, sources, metadata))
	require.NoError(t, file.Close())

	out, err := proctest.Command(t, python, "-I", filepath.Join("testdata", "load.py"), path).Output()
	require.NoError(t, err)
	var found struct {
		Tensors [][4]any
		Strings map[string]string
	}
	require.NoError(t, json.Unmarshal(out, &found))
	require.Equal(t, metadata, found.Strings)
	require.Len(t, found.Tensors, len(sources))
	for i, want := range sources {
		sum := sha256.Sum256(content(t, want))
		shape := []any{}
		for _, d := range want.Shape {
			shape = append(shape, float64(d))
		}
		require.Equal(t, [4]any{want.Name, want.DType.String(), shape, hex.EncodeToString(sum[:])}, found.Tensors[i])
	}
}

// pythonWithTorch is a Python that can import torch; a test without one is skipped.
func pythonWithTorch(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if proctest.Command(t, python, "-I", "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)").Run() == nil {
			return python
		}
	}
	t.Skip("no Python with torch")
	return ""
}

func TestWritePyTorchErrors(t *testing.T) {
	write := func(n int) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(make([]byte, n))
			return err
		}
	}
	one := Source{"a", Bool, nil, write(1)}
	for says, sources := range map[string][]Source{
		"taken":               {one, one},
		"UTF-8":               {{"\xff", Bool, nil, write(1)}},
		"negative":            {{"a", Bool, []int64{-1}, write(1)}},
		"no element type":     {{"a", 0, nil, write(1)}},
		"1 bytes are missing": {{"a", Bool, []int64{2}, write(1)}},
		"1 bytes more":        {{"a", Bool, []int64{2}, write(3)}},
		"use safetensors":     {{"a", Float32, []int64{1 << 30}, write(0)}},
	} {
		require.ErrorContains(t, WritePyTorch(io.Discard, sources, nil), says)
	}
	require.ErrorContains(t, WritePyTorch(io.Discard, nil, map[string]string{"a": "\xff"}), "UTF-8")
	require.ErrorContains(t, WritePyTorch(io.Discard, nil, map[string]string{"model": ""}), "model")
	full := &fullWriter{left: 1000}
	sources, _ := mixed()
	require.ErrorIs(t, WritePyTorch(full, sources, nil), errFull)
	require.ErrorIs(t, WritePyTorch(&fullWriter{left: 15000}, slices.Clone(sources[:1]), map[string]string{"long": strings.Repeat("x", 20000)}), errFull)
}

var errFull = os.ErrDeadlineExceeded

// fullWriter takes a number of bytes.
type fullWriter struct{ left int }

func (f *fullWriter) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, errFull
	}
	f.left -= len(p)
	return len(p), nil
}
