package coco

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names may be encoded as in an address, but do not leave the folder by that; a file with the
// name as it stands comes first.
func TestFindEncoded(t *testing.T) {
	parent := t.TempDir()
	folder := filepath.Join(parent, "in")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "a b"), 0o777))
	for _, name := range []string{"a b/ü 1.png", "x%20y.png", "x y.png", "../secret.png"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o666))
	}
	for name, want := range map[string]string{"a%20b/%C3%BC%201.png": "a b/ü 1.png", `a%20b\%C3%BC%201.png`: "a b/ü 1.png", "x%20y.png": "x%20y.png"} {
		got, err := (&Image{FileName: name}).Find(folder)
		require.NoError(t, err, name)
		require.Equal(t, filepath.Join(folder, filepath.FromSlash(want)), got)
	}
	for _, name := range []string{"%2e%2e/secret.png", "%2e%2e%2fsecret.png", "100%.png"} {
		_, err := (&Image{FileName: name}).Find(folder)
		require.ErrorIs(t, err, os.ErrNotExist, name)
	}
}
