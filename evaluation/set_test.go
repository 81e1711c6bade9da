package evaluation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

func TestClassesOfASet(t *testing.T) {
	set := &Set{Data: &coco.Dataset{Categories: []coco.Category{{ID: 7, Name: "b"}, {ID: 3, Name: "a"}}}}
	ids := func() (out []int64) {
		for _, c := range set.categories {
			if c != nil {
				out = append(out, c.ID)
			} else {
				out = append(out, -1)
			}
		}
		return out
	}
	warnings := 0
	warn := func(string, ...any) { warnings++ }
	require.NoError(t, set.Match([]string{"a", "other", "b"}, warn))
	require.Equal(t, []int64{3, -1, 7}, ids())
	require.Zero(t, warnings)
	require.NoError(t, set.Match([]string{"class 0", "class 1"}, warn))
	require.Equal(t, []int64{3, 7}, ids())
	require.Equal(t, 1, warnings)
	require.ErrorContains(t, set.Match([]string{"a", "c"}, warn), `category "b" (id 7) is not one of`)
	require.ErrorContains(t, set.Match([]string{"x", "y", "z"}, warn), "3 classes")

	// Names that are there twice: in the order of a model that has learnt the set, or not at all.
	require.ErrorContains(t, set.Match([]string{"a", "b", "b"}, warn), `"b" is the name of several categories`)
	set.Data.Categories = append(set.Data.Categories, coco.Category{ID: 9, Name: "b"}, coco.Category{ID: 1})
	require.NoError(t, set.Match([]string{"", "a", "b", "b"}, warn))
	require.Equal(t, []int64{1, 3, 7, 9}, ids())
	require.ErrorContains(t, set.Match([]string{"a", "b", "", "c"}, warn), `"b" is the name of several categories`)
	require.NoError(t, set.Match([]string{"1", "2", "3", "4"}, warn))
	require.Equal(t, []int64{1, 3, 7, 9}, ids())
	require.Equal(t, 2, warnings)
}

func TestLVISPicturesByAddress(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"val2017/1.jpg", "2.jpg"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o666))
	}
	for address, want := range map[string]string{"http://images.org/val2017/1.jpg": "val2017/1.jpg", "http://images.org/val2017/2.jpg": "2.jpg"} {
		got, err := (&coco.Image{COCOURL: address}).Find(folder)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(folder, want), got)
	}
	_, err := (&coco.Image{COCOURL: "http://images.org/val2017/3.jpg"}).Find(folder)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = (&coco.Image{}).Find(folder)
	require.ErrorContains(t, err, "no file_name")
}
