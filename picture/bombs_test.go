package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// bombs returns n zeros as the compressions of TIFF files make them small. Zeros in zstd are
// compressed by tifftest.
func bombs(t *testing.T, n int) map[int][]byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(make([]byte, n))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return map[int][]byte{5: lzwZeros(n), 8: b.Bytes(), 32773: bytes.Repeat([]byte{0x81, 0}, n/128+1), 50000: make([]byte, n)}
}

// lzwZeros returns n zeros in the LZW of TIFF: after each clear code codes of longer and longer
// runs follow.
func lzwZeros(n int) []byte {
	var out []byte
	bits, held := uint32(0), 0
	put := func(code, width int) {
		bits = bits<<width | uint32(code)
		for held += width; held >= 8; held -= 8 {
			out = append(out, byte(bits>>(held-8)))
		}
	}
	for n > 0 {
		put(256, 9)
		for next, run, width := 258, 1, 9; n > 0 && next < 4094; next, run = next+1, run+1 {
			code := next - 1 // of one more zero than the last
			if run == 1 {
				code = 0
			}
			put(code, width)
			n -= run
			if next+1 >= 1<<width && width < 12 && run > 1 {
				width++
			}
		}
	}
	put(257, 12)
	return append(out, byte(bits<<(8-held%8)))
}

// bounded fails the test if f, which reads a file of that many bytes and returns the pixels it
// gave, allocates more than docs/pictures.md says, with room for what the test itself needs.
func bounded(t *testing.T, size int, f func() (pixels int)) {
	t.Helper()
	pixels := 0
	used := allocation.Bytes(func() { pixels = f() })
	if bound := uint64(4*size + 48*pixels + 16<<20); used > bound {
		t.Fatalf("%d bytes for %d pixels of a file of %d", used, pixels, size)
	}
}

func pixelsRead(p *Picture, err error) int {
	if err != nil {
		return 0
	}
	return p.Bounds().Dx() * p.Bounds().Dy()
}

// What is compressed costs what the picture needs, not what it stands for: a strip that goes on
// behind the pixels is not expanded.
func TestCompressedBombs(t *testing.T) {
	const n = 64 << 20
	for compression, data := range bombs(t, n) {
		page := tifftest.Page{Width: 8, Height: 8, Photometric: 1, Compression: compression, Planes: [][]byte{data}}
		file := tifftest.Encode(binary.LittleEndian, false, page)
		used := allocation.Bytes(func() {
			_, err := Decode(bytes.NewReader(file), Options{})
			require.NoError(t, err, compression)
		})
		require.Less(t, used, uint64(4*len(file)+16<<20), compression)
	}
	// A PNG whose data goes on behind the pixels.
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))))
	file := b.Bytes()
	at := bytes.Index(file, []byte("IDAT"))
	chunk := append([]byte("IDAT"), bombs(t, n)[8]...)
	file = binary.BigEndian.AppendUint32(file[:at-4:at-4], uint32(len(chunk)-4))
	file = binary.BigEndian.AppendUint32(append(file, chunk...), crc32.ChecksumIEEE(chunk))
	used := allocation.Bytes(func() { _, _ = Decode(bytes.NewReader(file), Options{}) })
	require.Less(t, used, uint64(4*len(file)+16<<20))
}

// Pictures that are valid, small as files and large as pixels cost a bounded number of bytes
// per pixel, whatever the format; larger ones than Options.MaxPixels nothing.
func TestLargePicturesOfSmallFiles(t *testing.T) {
	const side = 1024
	files := map[string][]byte{}
	for name, format := range map[string]tifftest.Page{"8 bits": {Bits: 8, Format: 1}, "16 bits": {Bits: 16, Format: 1}, "float32": {Bits: 32, Format: 3}} {
		for compression, data := range bombs(t, side*side*format.Bits/8) {
			page := format
			page.Width, page.Height, page.Photometric, page.Compression, page.Planes = side, side, 1, compression, [][]byte{data}
			files[fmt.Sprintf("tiff %s, compression %d", name, compression)] = tifftest.Encode(binary.LittleEndian, false, page)
		}
	}
	r := image.Rect(0, 0, side, side)
	for name, m := range map[string]image.Image{"grey": image.NewGray(r), "colours": image.NewRGBA(r), "16 bits": image.NewGray16(r), "48 bits": image.NewNRGBA64(r)} {
		var p, j bytes.Buffer
		require.NoError(t, png.Encode(&p, m))
		require.NoError(t, jpeg.Encode(&j, m, nil))
		files["png "+name], files["jpeg "+name] = p.Bytes(), j.Bytes()
	}
	webp, err := os.ReadFile("testdata/blank.webp") // 1024 × 1024, lossless
	require.NoError(t, err)
	files["webp"] = webp
	for name, file := range files {
		used := allocation.Bytes(func() {
			_, err := Decode(bytes.NewReader(file), Options{Normalize: Auto})
			require.NoError(t, err, name)
		})
		t.Logf("%s: %d bytes, %.1f per pixel", name, len(file), float64(used)/side/side)
		require.Less(t, used, uint64(4*len(file)+16<<20+32*side*side), name)
		used = allocation.Bytes(func() {
			_, err := Decode(bytes.NewReader(file), Options{MaxPixels: side*side - 1})
			require.ErrorIs(t, err, ErrTooLarge, name)
		})
		require.Less(t, used, uint64(4*len(file)+1<<20), name)
	}
}
