package tiff

import (
	"bytes"
	"encoding/binary"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// Every window of a page has the samples that the whole page has there.
func TestWindowsAreThePartsOfTheirPage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.IntN(60))
		}
		return b
	}
	for name, p := range map[string]tifftest.Page{
		"one strip":         {Width: 130, Height: 150, Samples: 3, Photometric: 2, Planes: [][]byte{noise(3 * 130 * 150)}},
		"one strip, bits":   {Width: 131, Height: 150, Bits: 4, Photometric: 1, Planes: [][]byte{noise(66 * 150)}},
		"strips":            {Width: 90, Height: 100, Bits: 16, Photometric: 1, Rows: 7, Planes: [][]byte{noise(2 * 90 * 100)}},
		"thick strips":      {Width: 30, Height: 500, Photometric: 1, Rows: 130, Planes: [][]byte{noise(30 * 500)}},
		"compressed strips": {Width: 90, Height: 100, Photometric: 1, Rows: 30, Compression: 50000, Planes: [][]byte{noise(90 * 100)}},
		"planes":            {Width: 50, Height: 100, Samples: 3, Photometric: 2, Planes: [][]byte{noise(5000), noise(5000), noise(5000)}},
		"tiles":             {Width: 100, Height: 90, Samples: 3, Photometric: 2, Tile: 32, Compression: 50000, Planes: [][]byte{noise(3 * 9000)}},
		"tiles of floats":   {Width: 40, Height: 50, Bits: 32, Format: 3, Photometric: 1, Tile: 16, Planes: [][]byte{noise(4 * 2000)}},
	} {
		t.Run(name, func(t *testing.T) {
			data := tifftest.Encode(binary.LittleEndian, false, p)
			f, err := Open(bytes.NewReader(data), int64(len(data)))
			require.NoError(t, err)
			page, err := f.Page(0)
			require.NoError(t, err)
			wanted := []int{0}
			if p.Samples == 3 {
				wanted = []int{0, 1, 2}
			}
			whole, err := page.Read(wanted, nil)
			require.NoError(t, err)
			for _, most := range []int{0, 5000, 1 << 20} {
				w, err := NewWindows(page, most)
				require.NoError(t, err)
				for range 40 {
					x, y := rng.IntN(p.Width), rng.IntN(p.Height)
					r := image.Rect(x, y, x+1+rng.IntN(p.Width-x), y+1+rng.IntN(p.Height-y))
					want := &Raster{Width: r.Dx(), Height: r.Dy(), Samples: len(wanted)}
					want.put(whole, image.Pt(-x, -y))
					got, err := w.Page(r).Read(wanted, nil)
					require.NoError(t, err)
					require.Equal(t, want, got, "%v", r)
					one, err := w.Page(r).Read(wanted[:1], nil)
					require.NoError(t, err)
					require.Equal(t, 1, one.Samples)
				}
				held := 0
				for e := w.order.Front(); e != nil; e = e.Next() {
					held += e.Value.(decodedChunk).bytes()
				}
				require.Equal(t, held, w.held)
				require.True(t, held <= most || w.order.Len() == 1, "%d bytes are held", held)
			}
		})
	}
}

// countingReader counts the bytes that are read.
type countingReader struct {
	*bytes.Reader
	n int
}

func (c *countingReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	c.n += n
	return n, err
}

// A small window of a large page costs what lies around it.
func TestWindowsReadNoMoreThanTheyNeed(t *testing.T) {
	for name, p := range map[string]tifftest.Page{
		"one strip": {Width: 2000, Height: 2000, Photometric: 1, Planes: [][]byte{make([]byte, 4_000_000)}},
		"tiles":     {Width: 2000, Height: 2000, Photometric: 1, Tile: 64, Planes: [][]byte{make([]byte, 4_000_000)}},
	} {
		data := tifftest.Encode(binary.BigEndian, true, p)
		c := &countingReader{Reader: bytes.NewReader(data)}
		f, err := Open(c, int64(len(data)))
		require.NoError(t, err)
		page, err := f.Page(0)
		require.NoError(t, err)
		w, err := NewWindows(page, 1<<20)
		require.NoError(t, err)
		for range 3 { // the last two from what is kept
			_, err = w.Page(image.Rect(900, 900, 940, 940)).Read([]int{0}, nil)
			require.NoError(t, err)
		}
		require.Less(t, c.n, 300_000, name)
	}
}

func TestPagesThatCannotBeReadInParts(t *testing.T) {
	p := tifftest.Page{Width: 40_000, Height: 30_000, Photometric: 1, Compression: 50000, Planes: [][]byte{make([]byte, 30_000)}}
	data := tifftest.Encode(binary.LittleEndian, false, p)
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	page, err := f.Page(0)
	require.NoError(t, err)
	_, err = NewWindows(page, 0)
	require.ErrorContains(t, err, "save it with tiles")
}
