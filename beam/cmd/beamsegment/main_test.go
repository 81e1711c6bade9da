package main

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/beam/beamseg"
)

func TestMain(m *testing.M) {
	flag.Parse()
	beam.Init()
	os.Exit(m.Run())
}

// The program says how many pictures have failed, and fails if all have.
func TestFailedPicturesAreCounted(t *testing.T) {
	folder := t.TempDir()
	list, output := filepath.Join(folder, "list.txt"), filepath.Join(folder, "results")
	whole := filepath.Join(folder, "whole.png")
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 16, 16))))
	require.NoError(t, os.WriteFile(whole, b.Bytes(), 0o666))
	segment := func(lines string) (string, error) {
		require.NoError(t, os.WriteFile(list, []byte(lines), 0o666))
		var said bytes.Buffer
		err := run(t.Context(), &said, list, output, 2, beamseg.Options{Steps: 1})
		return said.String(), err
	}
	missing := folder + "/a.png\n" + folder + "/b.png\n"
	said, err := segment(missing)
	require.EqualError(t, err, "none of the pictures could be segmented: "+output+"-….failed.json say why")
	require.Empty(t, said)
	said, err = segment(missing + whole)
	require.NoError(t, err)
	require.Equal(t, "1 pictures segmented, 2 failed: "+output+"-….failed.json say why\n", said)
	said, err = segment(whole)
	require.NoError(t, err)
	require.Empty(t, said)
}
