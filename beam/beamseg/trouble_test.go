package beamseg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// A store is a file system that has nothing, and answers with errors of its own.
type store struct{ filesystem.Interface }

var (
	errStore      = errors.New("store: 503 Service Unavailable")
	errStoreHasNo = errors.New("store: no such object")
)

func init() {
	filesystem.Register("store", func(context.Context) filesystem.Interface { return store{} })
}

func (store) Close() error { return nil }

func (store) OpenRead(_ context.Context, name string) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(name, "eio.png"):
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EIO}
	case strings.HasSuffix(name, "missing.png"):
		return nil, errStoreHasNo
	}
	return nil, errStore
}

func (store) List(_ context.Context, name string) ([]string, error) {
	if strings.HasSuffix(name, "down.png") {
		return nil, errStore
	}
	if strings.HasSuffix(name, "busy.png") {
		return []string{name}, nil
	}
	return nil, nil
}

// What says nothing about a picture fails the pipeline, which a runner repeats; an object that is not there is recorded.
func TestTroubleIsNotOfThePicture(t *testing.T) {
	loadTiny(t)
	folder := t.TempDir()
	for name, cause := range map[string]error{"eio": syscall.EIO, "down": errStore, "busy": errStore} {
		path := "store://" + name + ".png"
		err := ptest.Run(Pipeline([]Picture{{5, path}}, everything, filepath.Join(folder, name), 1))
		require.ErrorContains(t, err, "beamseg: picture 5, "+path+": ")
		require.ErrorContains(t, err, cause.Error())
	}
	prefix := filepath.Join(folder, "results")
	require.NoError(t, ptest.Run(Pipeline([]Picture{{5, "store://missing.png"}}, everything, prefix, 1)))
}

func TestErrorsOfPictures(t *testing.T) {
	path := func(err error) error { return &fs.PathError{Op: "open", Path: "a", Err: err} }
	for _, err := range []error{syscall.ENOENT, syscall.EACCES, syscall.EISDIR, syscall.ENOTDIR, syscall.ENAMETOOLONG} {
		require.True(t, unreadable(t.Context(), store{}, "a", path(err)), err)
	}
	for _, err := range []error{syscall.EIO, syscall.ESTALE, syscall.EMFILE, syscall.ENOMEM} {
		require.False(t, unreadable(t.Context(), store{}, "a", path(err)), err)
	}
	for _, err := range []error{&picture.Error{Kind: picture.ErrCorrupt}, &diffusioninst.ImageError{}, &diffusioninst.LimitError{}, &nn.NotFiniteError{}} {
		require.True(t, ofPicture(fmt.Errorf("more: %w", err)), err)
	}
	full := &torch.Error{Err: torch.ErrOutOfMemory}
	for _, err := range []error{full, &diffusioninst.ImageError{Err: full}, errStore, path(syscall.EIO), diffusioninst.ErrClosed} {
		require.False(t, ofPicture(err), err)
	}
}

// Lists are read as segment --list reads them, and a file system that is not registered is named.
func TestLists(t *testing.T) {
	want := []Picture{{1, "store://ä.png"}, {2, "store://b.png"}}
	for _, text := range []string{
		"\ufeffstore://ä.png\r\n\r\nstore://b.png\r\n",
		"\xff\xfes\x00t\x00o\x00r\x00e\x00:\x00/\x00/\x00\xe4\x00.\x00p\x00n\x00g\x00\n\x00s\x00t\x00o\x00r\x00e\x00:\x00/\x00/\x00b\x00.\x00p\x00n\x00g\x00",
	} {
		pictures, err := List(t.Context(), strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, want, pictures)
	}
	for _, line := range []string{"ftp://host/a.png", "ftp://host/a.png?size=1"} {
		_, err := List(t.Context(), strings.NewReader("a.png\n"+line))
		require.ErrorContains(t, err, `beamseg: the list: file system scheme "ftp" not registered`)
	}
}
