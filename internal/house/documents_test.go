package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The map of the code names every internal package, and no file or folder that is not there.
func TestMapNamesWhatExists(t *testing.T) {
	top := root(t)
	text, err := os.ReadFile(filepath.Join(top, "ARCHITECTURE.md"))
	require.NoError(t, err)
	packages, err := os.ReadDir(filepath.Join(top, "internal"))
	require.NoError(t, err)
	for _, p := range packages {
		assert.True(t, strings.Contains(string(text), "`internal/"+p.Name()+"`"), "ARCHITECTURE.md does not name internal/%s", p.Name())
	}
	paths := regexp.MustCompile("`([a-z_0-9]+(?:/[a-z_0-9]+)+(?:\\.[a-z]+)?)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		_, err := os.Stat(filepath.Join(top, filepath.FromSlash(path[1])))
		assert.NoError(t, err)
	}
}
