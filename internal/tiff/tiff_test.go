package tiff

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
)

// Old-style LZW holds the low bits first, and its codes grow when GIF's do.
func TestOldLZW(t *testing.T) {
	data := make([]byte, 3000)
	for i := range data {
		data[i] = byte(i*i>>3 + i>>5)
	}
	require.Equal(t, data, mustLZW(t, encodeOldLZW(data), len(data)))
	_, err := unLZW(nil, []byte{0xff, 0xff, 0xff}, 10)
	require.Error(t, err)
}

func mustLZW(t *testing.T, src []byte, n int) []byte {
	t.Helper()
	got, err := unLZW(nil, src, n)
	require.NoError(t, err)
	return got
}

func encodeOldLZW(data []byte) []byte {
	var out []byte
	held, bits := 0, uint32(0)
	put := func(code, width int) {
		bits |= uint32(code) << held
		for held += width; held >= 8; held -= 8 {
			out = append(out, byte(bits))
			bits >>= 8
		}
	}
	table := map[string]int{}
	next, width := 258, 9
	put(lzwClear, 9)
	code := func(s string) int {
		if len(s) == 1 {
			return int(s[0])
		}
		return table[s]
	}
	s := ""
	for _, b := range data {
		longer := s + string([]byte{b})
		if _, ok := table[longer]; ok || s == "" {
			s = longer
			continue
		}
		put(code(s), width)
		table[longer] = next
		// The decoder adds its entry one code later than the encoder.
		if next++; next > 1<<width && width < 12 {
			width++
		}
		s = string([]byte{b})
		if next == 4000 {
			put(code(s), width)
			put(lzwClear, width)
			table, next, width, s = map[string]int{}, 258, 9, ""
		}
	}
	put(code(s), width)
	put(lzwEnd, width)
	put(0, 7)
	return out
}

func TestSmallFloats(t *testing.T) {
	for bits, want := range map[uint32]float64{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: math.Ldexp(1, -24), 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1)} {
		require.Equal(t, want, smallFloat(bits, 5, 10))
	}
	require.True(t, math.IsNaN(smallFloat(0x7c01, 5, 10)))
	require.Equal(t, 1.5, smallFloat(63<<16|1<<15, 7, 16), "24 bits")
}

func TestBitsAt(t *testing.T) {
	row := []byte{0b10110011, 0b01010101, 0b11110000}
	require.Equal(t, uint32(0b101), bitsAt(row, 0, 3))
	require.Equal(t, uint32(0b100110101010), bitsAt(row, 3, 12))
	require.Equal(t, uint32(0b01010111110000), bitsAt(row, 10, 14))
}

func TestUnits(t *testing.T) {
	for _, unit := range []string{"µm", "micron", "um", `\u00B5m`} {
		require.Equal(t, 1.0, micrometres[unit])
	}
	require.Equal(t, 1.0, omeUnit(""))
}

// Every page of any bytes is read, or is an error, and what it costs is bounded.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../../picture/testdata/tiff/*.tif")
	require.NoError(f, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		if len(data) < 5000 && !strings.Contains(name, "want") {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pixels := 0
		used := allocation.Bytes(func() { pixels = readPages(t, data) })
		// Growing buffers cost a few times what they hold in the end.
		if bound := uint64(4*len(data) + 64*pixels + 16<<20); used > bound {
			t.Fatalf("%d bytes for a file of %d and %d pixels", used, len(data), pixels)
		}
	})
}

// readPages reads the first pages of a file, unless they are large, and returns their pixels.
func readPages(t *testing.T, data []byte) (pixels int) {
	file, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return 0
	}
	stack := file.Stack()
	for i := 0; i < len(stack.Planes) && i < 4; i++ {
		p, err := file.Page(stack.Planes[i].Page)
		if err != nil || p.Width > 1000 || p.Height > 1000 {
			continue
		}
		r, err := p.Read([]int{0}, nil)
		if err != nil {
			continue
		}
		if n := len(r.U8) + len(r.U16) + len(r.F64); n != p.Width*p.Height {
			t.Fatalf("%d samples of %d×%d pixels", n, p.Width, p.Height)
		}
		pixels += p.Width * p.Height
	}
	return pixels
}
