package checkpoint

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLatin1Text reads pieces of long bytes that are written as text, with
// characters of two bytes across the borders of chunks.
func TestLatin1Text(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 5*latin1Chunk)
	var text []byte
	for i := range want {
		want[i] = byte(rng.Uint32())
		if i < 2*latin1Chunk {
			want[i] |= 0x80
		}
		text = append(text, string(rune(want[i]))...)
	}
	for _, shift := range []string{"", "d"} { // moves the characters against the chunks
		want = append([]byte(shift), want...)
		text = append([]byte(shift), text...)
		file := append([]byte("before"), text...)
		m := newMachine(newPickleInput(bytes.NewReader(file), 0, int64(len(file)), pickleBuffer), nil)
		s, err := m.latin1(span{off: 6, n: int64(len(text)), utf8: true})
		require.NoError(t, err)
		require.Equal(t, int64(len(want)), s.size)
		for range 200 {
			off := rng.IntN(len(want))
			n := rng.IntN(min(len(want)-off, 3*latin1Chunk) + 1)
			got := make([]byte, n)
			read, err := s.ReadAt(got, int64(off))
			require.NoError(t, err)
			require.Equal(t, n, read)
			require.True(t, bytes.Equal(want[off:off+n], got), "%d bytes at %d", n, off)
		}
		read, err := s.ReadAt(make([]byte, 10), s.size-4)
		require.Equal(t, 4, read)
		require.ErrorIs(t, err, io.EOF)
		_, err = s.ReadAt(make([]byte, 1), s.size)
		require.ErrorIs(t, err, io.EOF)
		_, err = s.ReadAt(make([]byte, 1), -1)
		require.Error(t, err)
	}
}
