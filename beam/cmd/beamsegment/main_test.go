package main

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/memfs"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners"
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

// A list with an address is read by a worker; paths of a file are a part of the graph, which Dataflow bounds.
func TestLongLists(t *testing.T) {
	folder := t.TempDir()
	memfs.Write("memfs://list.txt", []byte(folder+"/a.png\n"+folder+"/b.png"))
	err := run(t.Context(), io.Discard, "memfs://list.txt", filepath.Join(folder, "results"), 2, beamseg.Options{Steps: 1})
	require.ErrorContains(t, err, "none of the pictures could be segmented")
	text, err := os.ReadFile(filepath.Join(folder, "results-00001-of-00002.failed.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), folder+"/a.png")

	list, lines := filepath.Join(folder, "list.txt"), ""
	for i := range 100 {
		lines += fmt.Sprintf("%s/%d/%s.png\n", folder, i, strings.Repeat("x", 60_000))
	}
	require.NoError(t, os.WriteFile(list, []byte(lines), 0o666))
	_, err = pipelineOf(t.Context(), list, "out", 1, beamseg.Options{})
	require.NoError(t, err)
	before := *runners.Runner
	*runners.Runner = "DataflowRunner"
	defer func() { *runners.Runner = before }()
	_, err = pipelineOf(t.Context(), list, "out", 1, beamseg.Options{})
	require.ErrorContains(t, err, "100 pictures make a pipeline of 11 MB, and Dataflow takes about 10 MB: copy the list")
	_, err = pipelineOf(t.Context(), "memfs://list.txt", "out", 1, beamseg.Options{})
	require.NoError(t, err)
}
