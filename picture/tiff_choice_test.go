package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

func TestSeveralPagesAreAChoice(t *testing.T) {
	_, err := Open("testdata/tiff/pages.tif", Options{})
	require.ErrorIs(t, err, ErrChoice)
	require.ErrorContains(t, err, "the file has 3 pages: choose one with Page (--page N), or all (--page all): page 1 37×29; page 2 37×29; page 3 37×29")
	_, err = Open("testdata/tiff/imagej.tif", Options{})
	require.ErrorIs(t, err, ErrChoice)
	require.ErrorContains(t, err, "2 channels (1, 2), 3 slices: choose a page (--page N, or all) or a slice (--z N, or max): page 1 37×29 C1 Z1")
	for _, o := range []Options{{Page: 4}, {Z: 4}, {Page: -1}, {Z: 2, MaxZ: true}, {Page: 1, Z: 1}, {Page: 1, Channels: []string{"GFP"}}, {Page: 1, Channels: []string{"1", "1", "1", "1"}}} {
		_, err = Open("testdata/tiff/pages.tif", o)
		require.ErrorIs(t, err, ErrChoice, "%+v", o)
	}
	_, err = Open("testdata/rgb.png", Options{Page: 2})
	require.ErrorIs(t, err, ErrChoice)
	p, err := Open("testdata/rgb.png", Options{Page: 1, Z: 0})
	require.NoError(t, err)
	require.Equal(t, 1, p.Pages)
}

func TestChannelsTakenUnaskedAreNoted(t *testing.T) {
	p, err := Open("testdata/tiff/two_samples.tif", Options{})
	require.NoError(t, err)
	require.Contains(t, p.Note, "of 2 channels (1, 2) the first was taken")
	p, err = Open("testdata/tiff/ome.ome.tif", Options{Z: 1})
	require.NoError(t, err)
	require.Contains(t, p.Note, "of 2 channels (DAPI, GFP) the first was taken")
	require.Equal(t, []string{"DAPI", "GFP"}, p.Channels)
	p, err = Open("testdata/tiff/ome.ome.tif", Options{Z: 1, Channels: []string{"DAPI"}})
	require.NoError(t, err)
	require.Empty(t, p.Note)
	_, err = Open("testdata/tiff/ome.ome.tif", Options{Z: 1, Channels: []string{"mCherry"}})
	require.ErrorContains(t, err, `there is no channel "mCherry": there are 2 channels (DAPI, GFP)`)
	p, err = Open("testdata/rgb.png", Options{Channels: []string{"b"}})
	require.NoError(t, err)
	whole, err := Open("testdata/rgb.png", Options{})
	require.NoError(t, err)
	require.Equal(t, RGB(whole)[2], RGB(p)[0])
	require.Equal(t, RGB(whole)[2], RGB(p)[1])
}

func TestPagesOfAFile(t *testing.T) {
	for file, want := range map[string]int{"tiff/pages.tif": 3, "tiff/imagej.tif": 6, "tiff/pyramid.tif": 1, "rgb.png": 1} {
		pages, err := Pages(filepath.Join("testdata", file), Options{})
		require.NoError(t, err)
		require.Len(t, pages, want, file)
		for _, o := range pages {
			_, err := Open(filepath.Join("testdata", file), o)
			require.NoError(t, err)
		}
	}
	pages, err := Pages("testdata/tiff/ome.ome.tif", Options{Channels: []string{"GFP"}})
	require.NoError(t, err)
	require.Equal(t, []Options{{Page: 4}, {Page: 5}, {Page: 6}}, pages)
	_, err = Pages("testdata/tiff/ome.ome.tif", Options{Channels: []string{"GFP", "DAPI"}})
	require.ErrorIs(t, err, ErrChoice)
	_, err = Pages("testdata/tiff/pages.tif", Options{Page: 1})
	require.ErrorIs(t, err, ErrChoice)
}

func TestForeignFormatsAreNamed(t *testing.T) {
	file := func(at int, magic string) []byte {
		return append(make([]byte, at), magic+strings.Repeat("\x00", 600)...)
	}
	for name, data := range map[string][]byte{
		"CZI": file(0, "ZISRAWFILE"), "ND2": file(0, "\xda\xce\xbe\x0a"), "LIF": file(0, "\x70\x00\x00\x00\x10"),
		"DICOM": file(128, "DICM"), "HEIC": file(0, "\x00\x00\x00\x18ftypheic"), "AVIF": file(0, "\x00\x00\x00\x18ftypavif"),
		"JPEG 2000": file(0, "\x00\x00\x00\x0cjP  \r\n"), "OIB": file(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "video": file(0, "\x00\x00\x00\x18ftypisom"),
		"SVS": tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 1, Height: 1, Planes: [][]byte{{0}}, Description: "Aperio Image Library v1"}),
	} {
		_, err := Decode(bytes.NewReader(data), Options{})
		require.ErrorIs(t, err, ErrFormat, name)
		require.ErrorContains(t, err, name)
	}
}

// What a file claims costs nothing until its bytes show it.
func TestTIFFAllocationIsBounded(t *testing.T) {
	page := func(compression int, data []byte) []byte {
		return tifftest.Encode(binary.LittleEndian, false, tifftest.Page{
			Width: 10000, Height: 10000, Bits: 16, Photometric: 1, Compression: compression, Planes: [][]byte{data},
		})
	}
	for name, file := range map[string][]byte{
		"uncompressed": page(1, make([]byte, 100)), "LZW": page(5, make([]byte, 100)), "deflate": page(8, []byte{0x78, 0x9c, 1, 2, 3}),
		"PackBits": page(32773, []byte{0x81, 7, 0x81, 7}), "LZMA": page(34925, []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x00\x00\x00\x00")),
		"zstd": page(50000, nil), "fax": page(4, []byte{0x26, 0xa1}),
		"tags": tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 9, Height: 9, Planes: [][]byte{{0}}, Tags: map[uint16]uint32{277: 65535}}),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(bytes.NewReader(file), Options{})
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*len(file)+16<<20), name)
	}
}

func TestTIFFErrors(t *testing.T) {
	whole, err := os.ReadFile("testdata/tiff/u16_zlib.tif")
	require.NoError(t, err)
	strip := tifftest.Encode(binary.BigEndian, true, tifftest.Page{Width: 4, Height: 4, Planes: [][]byte{make([]byte, 15)}})
	codec := tifftest.Encode(binary.BigEndian, true, tifftest.Page{Width: 4, Height: 4, Compression: 34712, Planes: [][]byte{make([]byte, 16)}})
	raw := tifftest.Encode(binary.BigEndian, true, tifftest.Page{Width: 4, Height: 4, Photometric: 32803, Planes: [][]byte{make([]byte, 16)}})
	for name, test := range map[string]struct {
		data []byte
		kind error
		text string
	}{
		"cut":   {whole[:len(whole)/2], ErrTruncated, ""},
		"strip": {strip, ErrTruncated, "15 of 16 bytes"},
		"codec": {codec, ErrCorrupt, "compression 34712 (JPEG 2000): not supported; save it with LZW or deflate"},
		"raw":   {raw, ErrCorrupt, "the raw data of a camera"},
	} {
		_, err := Decode(bytes.NewReader(test.data), Options{})
		require.ErrorIs(t, err, test.kind, name)
		require.ErrorContains(t, err, test.text, name)
	}
	require.True(t, tiff.Is(whole))
	_, err = Decode(bytes.NewReader(whole), Options{MaxPixels: 10})
	require.ErrorIs(t, err, ErrTooLarge)
	p, err := Decode(bytes.NewReader(whole), Options{Normalize: Auto})
	require.NoError(t, err)
	require.IsType(t, &image.RGBA{}, p.Image)
}
