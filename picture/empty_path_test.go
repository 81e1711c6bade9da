package picture

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmptyPath(t *testing.T) {
	for _, open := range []func() error{
		func() error { _, err := Open("", Options{}); return err },
		func() error { _, err := OpenSource("", Options{}); return err },
		func() error { _, _, err := OpenChannels("", Options{}); return err },
	} {
		err := open()
		require.EqualError(t, err, "picture: cannot be read: the path is empty")
		require.ErrorIs(t, err, ErrRead)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}
