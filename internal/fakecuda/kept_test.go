package fakecuda

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKept(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	fills := 0
	get := func(key ...string) string {
		return kept(t, key, func(dir string) {
			fills++
			require.NoError(t, os.WriteFile(filepath.Join(dir, "made"), nil, 0o600))
		})
	}
	a := get("a", "b")
	require.FileExists(t, filepath.Join(a, "made"))
	require.Equal(t, a, get("a", "b"))
	require.Equal(t, 1, fills, "the second time it is there")
	b := get("ab")
	require.NotEqual(t, a, b)
	require.Equal(t, 2, fills)

	require.NoError(t, os.Remove(filepath.Join(a, "whole")), "as after a kill")
	require.NoError(t, os.WriteFile(filepath.Join(a, "half"), nil, 0o600))
	require.Equal(t, a, get("a", "b"))
	require.Equal(t, 3, fills)
	require.NoFileExists(t, filepath.Join(a, "half"))

	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { get("at once") })
	}
	all.Wait()
	require.Equal(t, 4, fills, "one fills it, the others wait")

	old := time.Now().Add(-2 * unused)
	require.NoError(t, os.Chtimes(filepath.Join(a, "whole"), old, old))
	get("another")
	require.NoDirExists(t, a)
	require.DirExists(t, b)
}
