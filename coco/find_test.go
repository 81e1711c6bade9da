package coco

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindTakesPathsOfWindows(t *testing.T) {
	folder := t.TempDir()
	want := filepath.Join(folder, "images", "1.png")
	require.NoError(t, os.Mkdir(filepath.Dir(want), 0o777))
	require.NoError(t, os.WriteFile(want, nil, 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "2.png"), nil, 0o666))
	for name, want := range map[string]string{
		`images\1.png`: want, `images/1.png`: want, `.\images\1.png`: want,
		`C:\photos\2.png`: filepath.Join(folder, "2.png"), `/srv/2.png`: filepath.Join(folder, "2.png"), `..\..\upload\2.png`: filepath.Join(folder, "2.png"),
	} {
		got, err := (&Image{FileName: name}).Find(folder)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{`C:\1.png`, `images\2.png`, `/etc/passwd`} {
		_, err := (&Image{FileName: name}).Find(folder)
		require.ErrorIs(t, err, os.ErrNotExist, name)
	}
	for _, name := range []string{`..`, `a\..\..`, `/`} {
		_, err := (&Image{FileName: name}).Find(folder)
		require.ErrorContains(t, err, "leaves the folder", name)
	}
}
