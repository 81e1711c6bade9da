package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// root returns the folder of the module's go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "no go.mod above the working folder")
		dir = filepath.Dir(dir)
	}
}

// watch looks at the module's Go files, which a child process will read: go test takes
// a result from its cache unless a file has changed that the test itself has looked at.
func watch(t *testing.T, top string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err == nil && d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case err == nil && filepath.Ext(path) == ".go":
			_, err = os.Stat(path)
		}
		return err
	}))
}
