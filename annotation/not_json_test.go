package annotation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file that is called JSON and is something else is named.
func TestWhatIsNotJSON(t *testing.T) {
	for text, want := range map[string]string{
		"": "is empty", " \n": "is empty", "\x1f\x8b\x08rest": "gzip: unpack", "PK\x03\x04rest": "zip archive", "// of 2024\n{}": "begins with a comment",
		"version https://git-lfs.github.com/spec/v1\n": "git lfs pull", "<!DOCTYPE html>": "web page",
	} {
		file := filepath.Join(t.TempDir(), "data.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
		_, err := Open(file, Options{})
		require.ErrorContains(t, err, file)
		require.ErrorContains(t, err, want)
		_, err = Recognize(file)
		require.ErrorContains(t, err, want)
	}
}
