package tiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// The highest levels of zstd claim windows of up to 128 MB unless the writer says how much
// comes, as libtiff does not.
func TestZstdWindowIsBoundedByTheChunk(t *testing.T) {
	pixels := bytes.Repeat([]byte("0123456789abcdef"), 400*200/16)
	var chunk bytes.Buffer
	w, err := zstd.NewWriter(&chunk, zstd.WithWindowSize(128<<20))
	require.NoError(t, err)
	for part := pixels; len(part) > 0; part = part[100:] { // in parts, so that no size is written
		_, err := w.Write(part[:100])
		require.NoError(t, err)
		require.NoError(t, w.Flush())
	}
	require.NoError(t, w.Close())
	require.Zero(t, chunk.Bytes()[4]&(1<<5))
	require.Equal(t, byte(17<<3), chunk.Bytes()[5], "a window of 128 MB")

	var f inflaters
	var got []byte
	used := allocation.Bytes(func() {
		for range 50 { // one decoder for all chunks
			d, err := f.zstandard(bytes.Clone(chunk.Bytes()), len(pixels))
			require.NoError(t, err)
			got, err = io.ReadAll(io.LimitReader(d, int64(len(pixels)-7)))
			require.NoError(t, err)
		}
	})
	require.Equal(t, pixels[:len(pixels)-7], got)
	require.Less(t, used, uint64(32<<20))
}

// A page of many small chunks has one decoder of each kind.
func TestSmallChunksShareADecoder(t *testing.T) {
	const rows = 100
	var deflated bytes.Buffer
	w := zlib.NewWriter(&deflated)
	_, err := w.Write([]byte{7})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var f inflaters
	used := allocation.Bytes(func() {
		for range rows {
			d, err := f.deflate(deflated.Bytes())
			require.NoError(t, err)
			one, err := io.ReadAll(d)
			require.NoError(t, err)
			require.Equal(t, []byte{7}, one)
		}
	})
	require.Less(t, used, uint64(2<<20))

	file := tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 1, Height: rows, Rows: 1, Photometric: 1, Compression: 50000, Planes: [][]byte{make([]byte, rows)}})
	opened, err := Open(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	p, err := opened.Page(0)
	require.NoError(t, err)
	used = allocation.Bytes(func() {
		_, err = p.Read([]int{0}, nil)
		require.NoError(t, err)
	})
	require.Less(t, used, uint64(4*len(file)+16<<20))
}
