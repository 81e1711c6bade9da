package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSafetensorsRoundTrip writes the tensors of every test file as safetensors and reads them back.
func TestSafetensorsRoundTrip(t *testing.T) {
	for name := range expectedFiles(t) {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", name))
			require.NoError(t, err)
			defer f.Close()
			var sources []Source
			for _, tensor := range f.Tensors {
				sources = append(sources, tensor.Source())
			}
			var b bytes.Buffer
			require.NoError(t, WriteSafetensors(&b, sources, f.Metadata))
			g, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
			require.NoError(t, err)
			require.Equal(t, Safetensors, g.Format)
			require.Equal(t, f.Metadata, g.Metadata)
			require.Len(t, g.Tensors, len(f.Tensors))
			for _, want := range f.Tensors {
				got, ok := g.Tensor(want.Name)
				require.True(t, ok, want.Name)
				require.Equal(t, want.DType, got.DType)
				require.Equal(t, append([]int64{}, want.Shape...), got.Shape)
				a, b := make([]byte, want.bytes()), make([]byte, got.bytes())
				require.NoError(t, want.ReadInto(a))
				require.NoError(t, got.ReadInto(b))
				require.Equal(t, a, b)
				require.Zero(t, (got.view.store.off)%int64(got.DType.Size()), "alignment")
			}
		})
	}
}

// TestSafetensorsHeaderLengths covers headers whose length looks like the start of a pickle.
func TestSafetensorsHeaderLengths(t *testing.T) {
	for pad := range 600 {
		var b bytes.Buffer
		require.NoError(t, WriteSafetensors(&b, nil, map[string]string{"pad": strings.Repeat("x", pad)}))
		f, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
		require.NoError(t, err, pad)
		require.Equal(t, Safetensors, f.Format)
	}
}

func TestWriteSafetensorsErrors(t *testing.T) {
	write := func(n int) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(make([]byte, n))
			return err
		}
	}
	broken := errors.New("broken")
	for _, c := range []struct {
		says    string
		sources []Source
	}{
		{"taken", []Source{{"a", Bool, nil, write(1)}, {"a", Bool, nil, write(1)}}},
		{"taken", []Source{{"__metadata__", Bool, nil, write(1)}}},
		{"UTF-8", []Source{{"\xff", Bool, nil, write(1)}}},
		{"negative", []Source{{"a", Bool, []int64{-1}, write(1)}}},
		{"no element type", []Source{{"a", 0, nil, write(1)}}},
		{"no element type", []Source{{"a", Bool, nil, nil}}},
		{"1 bytes are missing", []Source{{"a", Bool, []int64{2}, write(1)}}},
		{"1 bytes more", []Source{{"a", Bool, []int64{2}, write(3)}}},
		{"broken", []Source{{"a", Bool, nil, func(io.Writer) error { return broken }}}},
	} {
		err := WriteSafetensors(io.Discard, c.sources, nil)
		require.ErrorContains(t, err, c.says)
	}
	require.ErrorContains(t, WriteSafetensors(io.Discard, nil, map[string]string{"a": "\xff"}), "UTF-8")
}

func ExampleOpen() {
	f, err := Open("testdata/zip.pth")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Println(f.Format, f.Metadata["iteration"])
	for _, t := range f.Tensors[:3] {
		v, err := t.Float32s()
		fmt.Println(t.Name, t.DType, t.Shape, v[:2], err)
	}
	// Output:
	// PyTorch zip 42
	// plain float32 [4 6] [-1 -0.875] <nil>
	// row float32 [6] [0.5 0.625] <nil>
	// transposed float32 [6 4] [-1 -0.25] <nil>
}

func ExampleWriteSafetensors() {
	weight := Source{
		Name: "weight", DType: Uint8, Shape: []int64{2},
		WriteTo: func(w io.Writer) error {
			_, err := w.Write([]byte{3, 4})
			return err
		},
	}
	var file bytes.Buffer
	if err := WriteSafetensors(&file, []Source{weight}, map[string]string{"iteration": "42"}); err != nil {
		fmt.Println(err)
		return
	}
	f, err := Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := f.Tensors[0].Float32s()
	fmt.Println(f.Tensors[0].Name, v, err, f.Metadata["iteration"])
	// Output: weight [3 4] <nil> 42
}
