package checkpoint

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRefuse opens files that are not checkpoints or may not be read.
func TestRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		cause error
		says  string
	}{
		"evil.pkl":       {ErrForbidden, `only objects of classes that are code (posix.system), which is never run`},
		"script.pth":     {ErrUnsupported, "TorchScript"},
		"deflated.pth":   {ErrUnsupported, "compressed"},
		"arrays.npz":     {ErrNotCheckpoint, ".npz"},
		"no_tensors.pkl": {ErrNotCheckpoint, "without any tensor"},
		"strings.pkl":    {ErrUnsupported, `tensor "w": NumPy type "U1"`},
		"complex.pth":    {ErrUnsupported, `tensor "w": element type torch.ComplexFloatStorage`},
		"negative.pth":   {ErrUnsupported, `tensor "w": it has pending operations`},
		"make.py":        {ErrNotCheckpoint, "looks like text"},
		"expected.json":  {ErrNotCheckpoint, "looks like JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			_, err := Open(path)
			require.ErrorIs(t, err, c.cause)
			require.ErrorContains(t, err, c.says)
			var e *FormatError
			require.ErrorAs(t, err, &e)
			require.Equal(t, path, e.Path)
		})
	}
}

func TestNotACheckpoint(t *testing.T) {
	for _, c := range []struct{ content, says string }{
		{"", "it is empty"},
		{"\x89PNG\r\n\x1a\n0000000000", "a PNG picture"},
		{"\xff\xd8\xff\xe0", "a JPEG picture"},
		{"<!DOCTYPE html><html>", "a web page"},
		{"\n <html>", "a web page"},
		{`{"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}`, "merge them"},
		{"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"},
		{"\x1f\x8b\x08", "gzip"},
		{strings.Repeat("\x00", 257) + "ustar\x00", "tar archive"},
		{"\x00\x01\x02", "not of any known kind"},
		{"no weights for größe" + "ß", "looks like text"},
		{strings.Repeat("a", 511) + "ß", "looks like text"},
		{"PK\x05\x06" + strings.Repeat("\x00", 18), "an empty zip"},
	} {
		_, err := Read(strings.NewReader(c.content), int64(len(c.content)))
		require.ErrorIs(t, err, ErrNotCheckpoint)
		require.ErrorContains(t, err, c.says)
	}
}

func TestOpenWhatIsNoFile(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "missing.pth"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Open(t.TempDir())
	require.ErrorIs(t, err, ErrNotCheckpoint)
	require.ErrorContains(t, err, "directory")
}

// TestTruncated cuts every good file at every length: there must be an error and no panic.
func TestTruncated(t *testing.T) {
	for name := range expectedFiles(t) {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		step := max(1, len(raw)/2000)
		for n := 0; n < len(raw); n += step {
			_, err := Read(bytes.NewReader(raw[:n]), int64(n))
			var e *FormatError
			require.ErrorAs(t, err, &e, "%s cut to %d bytes", name, n)
		}
	}
}

// TestLyingSize reads files whose reader ends before the size that was given.
func TestLyingSize(t *testing.T) {
	for name := range expectedFiles(t) {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		_, err = Read(bytes.NewReader(raw), int64(len(raw))+100)
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
}

func safetensorsFile(header, data string) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + data
}

func TestSafetensorsRefused(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		header, data string
		cause        error
		says         string
	}{
		{`{` + a + `}`, "1234567", ErrCorrupt, `tensor "a": it ends at 8 but the file has only 7`},
		{`{` + a + `}`, "123456789", ErrCorrupt, "1 bytes after the last tensor"},
		{`{` + a + `,` + a + `}`, "12345678", ErrCorrupt, `key "a" twice`},
		{`{` + a + `,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678", ErrCorrupt, `tensor "b": it begins at 4 inside`},
		{`{` + a + `,"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}`, "1234567890", ErrCorrupt, `tensor "b": 1 unused bytes before it`},
		{`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, "12345678", ErrCorrupt, `tensor "a": 8 bytes given for 12`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, "12345678", ErrCorrupt, `tensor "a": it ends at 0 before`},
		{`{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}`, "12345678", ErrUnsupported, `tensor "a": element type "F8_E4M3"`},
		{`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, "12345678", ErrCorrupt, `tensor "a": shape holds -2`},
		{`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, "12345678", ErrCorrupt, "shape holds 2.0"},
		{`{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}`, "12345678", ErrCorrupt, "shape holds 2"},
		{`{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}`, "", ErrCorrupt, "too large"},
		{`{"a":{"dtype":"F32","shape":[2]}}`, "12345678", ErrCorrupt, "missing"},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, "12345678", ErrCorrupt, `unknown key "x"`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, "12345678", ErrCorrupt, "more than 2"},
		{`{"__metadata__":{"a":1}}`, "", ErrCorrupt, "not a string"},
		{`{"a":[]}`, "", ErrCorrupt, "expected"},
		{`{} x`, "", ErrCorrupt, "after its end"},
		{`{`, "", ErrCorrupt, "valid JSON"},
		{"{\"\xff\":{}}", "", ErrCorrupt, "UTF-8"},
	} {
		file := safetensorsFile(c.header, c.data)
		_, err := Read(strings.NewReader(file), int64(len(file)))
		require.ErrorIs(t, err, c.cause, c.header)
		require.ErrorContains(t, err, c.says, c.header)
	}
	for _, length := range []uint64{1 << 63, 1<<64 - 1, maxHeader + 1, 100} {
		file := string(binary.LittleEndian.AppendUint64(nil, length)) + "{}"
		_, err := Read(strings.NewReader(file), int64(len(file)))
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, "is claimed")
	}
}

func TestErrorText(t *testing.T) {
	e := &FormatError{Path: "a.pth", Format: PyTorchZip, Tensor: "w", Reason: "it is odd", Err: ErrCorrupt}
	require.Equal(t, `checkpoint: a.pth: PyTorch zip: tensor "w": it is odd`, e.Error())
	require.Equal(t, "checkpoint: it is odd", (&FormatError{Reason: "it is odd"}).Error())
	require.Equal(t, "PyTorch legacy", PyTorchLegacy.String())
	require.Equal(t, "safetensors", Safetensors.String())
	require.Equal(t, "unknown format", Format(0).String())
	require.Equal(t, "DType(0)", DType(0).String())
	require.Zero(t, DType(99).Size())
}
