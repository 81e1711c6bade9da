package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
)

// Decoders make room for all pixels that a header claims. Whatever the format, a picture whose
// pixels do not come costs at most four times its file and 16 MB.
func TestClaimedPixelsThatDoNotCome(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err, name)
		return data
	}
	const side = 9000
	little, big := binary.LittleEndian, binary.BigEndian
	words := func(o binary.ByteOrder, at int) func([]byte) {
		return func(b []byte) { o.PutUint16(b[at:], side); o.PutUint16(b[at+2:], side) }
	}
	longs := func(o binary.ByteOrder, at int) func([]byte) {
		return func(b []byte) { o.PutUint32(b[at:], side); o.PutUint32(b[at+4:], side) }
	}
	frame := func(marker byte) func([]byte) {
		return func(b []byte) { words(big, bytes.Index(b, []byte{0xff, marker})+5)(b) }
	}
	pngSize := func(b []byte) {
		at := bytes.Index(b, []byte("IHDR"))
		longs(big, at+4)(b)
		big.PutUint32(b[at+17:], crc32.ChecksumIEEE(b[at:at+17]))
	}
	gifSize := func(b []byte) {
		words(little, 6)(b)
		words(little, bytes.Index(b, []byte{0x2c, 0, 0, 0, 0})+5)(b)
	}
	canvas := func(b []byte) {
		at := bytes.Index(b, []byte("VP8X")) + 12
		copy(b[at:], []byte{(side - 1) & 255, (side - 1) >> 8, 0, (side - 1) & 255, (side - 1) >> 8, 0})
	}
	lossy := func(b []byte) { words(little, bytes.Index(b, []byte("VP8 "))+14)(b) }
	lossless := func(b []byte) {
		at := bytes.Index(b, []byte("VP8L")) + 9
		little.PutUint32(b[at:], little.Uint32(b[at:])&^(1<<28-1)|(side-1)<<14|(side-1))
	}
	both := func(f ...func([]byte)) func([]byte) {
		return func(b []byte) {
			for _, one := range f {
				one(b)
			}
		}
	}
	// Noise, of which much is there.
	r := rand.New(rand.NewPCG(1, 2))
	noise := image.NewPaletted(image.Rect(0, 0, 600, 500), color.Palette{color.Black, color.White})
	for i := range noise.Pix {
		noise.Pix[i] = uint8(r.IntN(2))
	}
	var ofGIF, ofJPEG, ofPNG, flat bytes.Buffer
	require.NoError(t, gif.Encode(&ofGIF, noise, nil))
	require.NoError(t, jpeg.Encode(&ofJPEG, noise, nil))
	require.NoError(t, png.Encode(&ofPNG, noise))
	require.NoError(t, png.Encode(&flat, image.NewNRGBA(image.Rect(0, 0, 2600, 2600))))

	for name, c := range map[string]struct {
		file  []byte
		claim func([]byte)
	}{
		"png":            {read("rgb.png"), pngSize},
		"png, flat":      {flat.Bytes(), pngSize},
		"png, noise":     {ofPNG.Bytes(), pngSize},
		"jpeg":           {read("420.jpg"), frame(0xc0)},
		"jpeg, noise":    {ofJPEG.Bytes(), frame(0xc0)},
		"progressive":    {read("progressive.jpg"), frame(0xc2)},
		"gif":            {read("palette.gif"), gifSize},
		"gif, noise":     {ofGIF.Bytes(), gifSize},
		"gif, animated":  {read("animated.gif"), gifSize},
		"webp, lossy":    {read("lossy.webp"), lossy},
		"webp, alpha":    {read("lossy_alpha.webp"), both(canvas, lossy)},
		"webp, lossless": {read("lossless.webp"), lossless},
		"bmp":            {read("rgb.bmp"), longs(little, 18)},
		"ico":            {read("plain/rgb.ico"), pngSize},
		"sgi":            {read("plain/rgb.sgi"), words(big, 6)},
		"qoi":            {read("plain/rgb.qoi"), longs(big, 4)},
		"tga":            {read("plain/rgb.tga"), words(little, 12)},
		"pcx":            {read("plain/rgb.pcx"), both(words(little, 8), func(b []byte) { little.PutUint16(b[66:], side+1) })},
		"pnm":            {[]byte("P6 9000 9000 255 123456"), func([]byte) {}},
		"pnm, plain":     {[]byte("P3 9000 9000 255 1 2 3 4 5 6"), func([]byte) {}},
	} {
		file := bytes.Clone(c.file)
		c.claim(file)
		used := allocation.Bytes(func() {
			_, err := Decode(bytes.NewReader(file), Options{})
			require.Error(t, err, name)
			require.NotErrorIs(t, err, ErrTooLarge, name)
		})
		t.Logf("%s: %d bytes, %d allocated", name, len(file), used)
		require.LessOrEqual(t, used, uint64(4*len(file)+16<<20), name)
	}
}

// What a WebP file of any coding claims is there if it is whole, and not if it is cut.
func TestPixelsOfWebP(t *testing.T) {
	names, err := filepath.Glob("testdata/webp/*.webp")
	require.NoError(t, err)
	for _, name := range append(names, "testdata/lossless.webp", "testdata/lossy.webp", "testdata/lossy_alpha.webp") {
		file, err := os.ReadFile(name)
		require.NoError(t, err)
		there, err := webpPixels(bytes.NewReader(file), int64(len(file)))
		require.NoError(t, err, name)
		require.True(t, there, name)
		at := bytes.Index(file, []byte("VP8 "))
		if at >= 0 {
			frame := bytes.Clone(file[at+8:])
			require.True(t, lossyPixels(frame, -4<<20), name) // 16 MB less than nothing: in steps
			binary.LittleEndian.PutUint16(frame[8:], 16*uint16(len(frame)))
			require.False(t, lossyPixels(frame, -4<<20), name)
			continue
		}
		there, err = webpPixels(bytes.NewReader(file[:len(file)*9/10]), int64(len(file)))
		require.NoError(t, err, name)
		require.False(t, there, name)
	}
}
