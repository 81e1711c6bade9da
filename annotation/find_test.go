package annotation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/picture"
)

// Annotations find pictures of every format that package picture reads.
func TestPictureOf(t *testing.T) {
	for _, ext := range picture.Extensions() {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a.b"+ext), nil, 0o666))
		name, ok := pictureOf(dir, "a.b")
		require.True(t, ok && isPicture(name), ext)
		require.Equal(t, "a.b"+ext, name)
	}
	require.False(t, isPicture("a.txt"))
}
