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

// A name that differs in case from one file is its; from two it is an error that names them.
func TestFindTakesTheOtherCase(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "Images"), 0o777))
	for _, name := range []string{"Images/img 1.jpg", "two.png", "Two.png", "exact.png", "Exact.png"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, filepath.FromSlash(name)), nil, 0o666))
	}
	for name, want := range map[string]string{
		"images/IMG 1.JPG": "Images/img 1.jpg", `IMAGES\Img 1.jpg`: "Images/img 1.jpg", "images/img%201.JPG": "Images/img 1.jpg", "exact.png": "exact.png",
	} {
		got, err := (&Image{FileName: name}).Find(folder)
		require.NoError(t, err, name)
		require.Equal(t, filepath.Join(folder, filepath.FromSlash(want)), got, name)
	}
	_, err := (&Image{FileName: "TWO.png"}).Find(folder)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "TWO.png differs in case from Two.png and two.png")
	_, err = (&Image{FileName: "three.png"}).Find(folder)
	require.ErrorIs(t, err, os.ErrNotExist)
}
