package nilcheck

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIs(t *testing.T) {
	var r io.Reader
	for _, v := range []any{nil, r, (*int)(nil), []int(nil), map[int]int(nil), (func())(nil), (chan int)(nil)} {
		require.True(t, Is(v), "%T", v)
	}
	for _, v := range []any{0, "", new(int), []int{}, struct{}{}, func() {}} {
		require.False(t, Is(v), "%T", v)
	}
}

func TestWriter(t *testing.T) {
	for _, w := range []io.Writer{nil, (*bytes.Buffer)(nil)} {
		_, err := Writer(w).Write(nil)
		require.EqualError(t, err, "there is no writer")
	}
	require.Equal(t, io.Discard, Writer(io.Discard))
}
