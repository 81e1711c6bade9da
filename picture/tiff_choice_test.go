package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff"
	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

func TestSeveralPagesAreAChoice(t *testing.T) {
	_, err := Open("testdata/tiff/pages.tif", Options{})
	require.ErrorIs(t, err, ErrChoice)
	require.ErrorContains(t, err, "the file has 3 pages: choose one with Options.Page, or the greatest value of all with Options.MaxZ; or take each with picture.Pages: page 1 37×29; page 2 37×29; page 3 37×29")
	_, err = Open("testdata/tiff/imagej.tif", Options{})
	require.ErrorIs(t, err, ErrChoice)
	require.ErrorContains(t, err, "2 channels (1, 2), 3 slices: choose a slice with Options.Z, or the greatest value of all slices with Options.MaxZ; or take each with picture.Pages: page 1 37×29 C1 Z1")
	for _, o := range []Options{
		{Page: 4}, {Z: 4}, {Time: 4}, {Scene: 2}, {Page: -1}, {Time: -1}, {Z: 2, MaxZ: true}, {Page: 1, Z: 1}, {Page: 1, Time: 1}, {Z: 2, Time: 2},
		{Page: 1, Channels: []string{"GFP"}}, {Page: 1, Channels: []string{"1", "1", "1", "1"}},
	} {
		_, err = Open("testdata/tiff/pages.tif", o)
		require.ErrorIs(t, err, ErrChoice, "%+v", o)
	}
	_, err = Open("testdata/rgb.png", Options{Page: 2})
	require.ErrorIs(t, err, ErrChoice)
	p, err := Open("testdata/rgb.png", Options{Page: 1, Z: 0})
	require.NoError(t, err)
	require.Equal(t, 1, p.Pages)
	third, err := Open("testdata/tiff/pages.tif", Options{Time: 3})
	require.NoError(t, err)
	require.Equal(t, 3, third.Page)
}

func TestChannelsTakenUnaskedAreNoted(t *testing.T) {
	p, err := Open("testdata/tiff/two_samples.tif", Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"of 2 channels (1, 2) the first was taken: choose with Options.Channels"}, p.Notes)
	p, err = Open("testdata/tiff/ome.ome.tif", Options{Z: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"of 2 channels (DAPI, GFP) the first was taken: choose with Options.Channels"}, p.Notes)
	require.Equal(t, []string{"DAPI", "GFP"}, p.Channels)
	p, err = Open("testdata/tiff/ome.ome.tif", Options{Z: 1, Channels: []string{"DAPI"}})
	require.NoError(t, err)
	require.Empty(t, p.Notes)
	_, err = Open("testdata/tiff/ome.ome.tif", Options{Z: 1, Channels: []string{"mCherry"}})
	require.ErrorContains(t, err, `there is no channel "mCherry": the file has 2 channels (DAPI, GFP)`)
	_, err = Open("testdata/grey.jpg", Options{Channels: []string{"2"}})
	require.ErrorContains(t, err, `there is no channel "2": the file has one channel (grey)`)
	p, err = Open("testdata/rgb.png", Options{Channels: []string{"b"}})
	require.NoError(t, err)
	whole, err := Open("testdata/rgb.png", Options{})
	require.NoError(t, err)
	require.Equal(t, RGB(whole)[2], RGB(p)[0])
	require.Equal(t, RGB(whole)[2], RGB(p)[1])
}

// What a file has besides its colours is in a note, and can be chosen.
func TestSamplesBesidesColours(t *testing.T) {
	rgb := []byte{10, 20, 30, 40, 50, 60}
	file := func(samples int, tags map[uint16]uint32, pix []byte) []byte {
		return tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 2, Height: 1, Samples: samples, Photometric: 2, Planes: [][]byte{pix}, Tags: tags})
	}
	five := file(5, nil, []byte{10, 20, 30, 1, 2, 40, 50, 60, 3, 4})
	p, err := Decode(bytes.NewReader(five), Options{})
	require.NoError(t, err)
	require.Equal(t, rgb, RGB(p))
	require.Equal(t, []string{"red", "green", "blue", "4", "5"}, p.Channels)
	require.Equal(t, []string{"red, green and blue were taken, and left out 2 channels (4, 5): choose with Options.Channels"}, p.Notes)
	for want, channels := range map[string][]string{
		"\x02\x02\x02\x04\x04\x04": {"5"}, "\x01\x1e\x0a\x03\x3c\x28": {"4", "b", "red"}, "\x14\x01\x00\x32\x03\x00": {"2", "4"},
	} {
		p, err := Decode(bytes.NewReader(five), Options{Channels: channels})
		require.NoError(t, err)
		require.Equal(t, []byte(want), RGB(p), channels)
		require.Empty(t, p.Notes)
	}
	alpha := file(4, map[uint16]uint32{338: 2}, []byte{10, 20, 30, 99, 40, 50, 60, 98})
	p, err = Decode(bytes.NewReader(alpha), Options{})
	require.NoError(t, err)
	require.Equal(t, rgb, RGB(p))
	require.Equal(t, []string{"its alpha channel was left out"}, p.Notes)
	p, err = Decode(bytes.NewReader(alpha), Options{Channels: []string{"alpha"}})
	require.NoError(t, err)
	require.Equal(t, []byte{99, 99, 99, 98, 98, 98}, RGB(p))
}

// A stack of two channels, three slices and four times, in all orders of the axes: samples say
// where they lie.
func TestChannelsSlicesAndTimes(t *testing.T) {
	size := map[byte]int{'C': 2, 'Z': 3, 'T': 4}
	value := func(c, z, tm int) byte { return byte(100*c + 10*z + tm) }
	for _, order := range []string{"CZT", "CTZ", "ZCT", "ZTC", "TCZ", "TZC"} {
		var pages []tifftest.Page
		for i := range 24 {
			at := map[byte]int{}
			for k, left := 0, i; k < 3; k++ {
				at[order[k]] = left % size[order[k]]
				left /= size[order[k]]
			}
			pages = append(pages, tifftest.Page{Width: 1, Height: 1, Photometric: 1, Planes: [][]byte{{value(at['C'], at['Z'], at['T'])}}})
		}
		files := map[string]string{"OME": `<OME><Image><Pixels DimensionOrder="XY` + order + `" SizeC="2" SizeZ="3" SizeT="4"><Channel Name="DAPI"/><Channel Name="GFP"/><TiffData/></Pixels></Image></OME>`}
		if order == "CZT" {
			files["ImageJ"] = "ImageJ=1.54f\nimages=24\nchannels=2\nslices=3\nframes=4\nhyperstack=true\n"
		}
		for writer, description := range files {
			pages[0].Description = description
			file := tifftest.Encode(binary.BigEndian, false, pages...)
			get := func(o Options) byte {
				t.Helper()
				p, err := Decode(bytes.NewReader(file), o)
				require.NoError(t, err, "%s %s %+v", writer, order, o)
				return RGB(p)[0]
			}
			gfp := "2"
			if writer == "OME" {
				gfp = "GFP"
			}
			require.Equal(t, value(1, 2, 0), get(Options{Channels: []string{gfp}, MaxZ: true, Time: 1}))
			require.Equal(t, value(1, 1, 3), get(Options{Channels: []string{gfp}, Z: 2, Time: 4}))
			require.Equal(t, value(0, 0, 2), get(Options{Z: 1, Time: 3}))
			_, err := Decode(bytes.NewReader(file), Options{Channels: []string{gfp}, MaxZ: true})
			require.ErrorIs(t, err, ErrChoice)
			require.ErrorContains(t, err, "3 slices, 4 times: choose a time with Options.Time; or take each")
			_, err = Decode(bytes.NewReader(file), Options{})
			require.ErrorContains(t, err, "choose a slice with Options.Z, or the greatest value of all slices with Options.MaxZ, and a time with Options.Time; or take each")

			path := filepath.Join(t.TempDir(), "stack.tif")
			require.NoError(t, os.WriteFile(path, file, 0o666))
			for _, test := range []struct {
				o    Options
				want []byte
			}{
				{Options{Channels: []string{gfp}, MaxZ: true}, []byte{value(1, 2, 0), value(1, 2, 1), value(1, 2, 2), value(1, 2, 3)}},
				{Options{Channels: []string{gfp, "1"}, MaxZ: true, Time: 2}, []byte{value(1, 2, 1)}},
				{Options{MaxZ: true, Time: 2}, []byte{value(0, 2, 1), value(1, 2, 1)}},
				{Options{Channels: []string{gfp}, Time: 2}, []byte{value(1, 0, 1), value(1, 1, 1), value(1, 2, 1)}},
				{Options{Z: 3, Time: 2}, []byte{value(0, 2, 1), value(1, 2, 1)}},
			} {
				list, err := Pages(path, test.o)
				require.NoError(t, err)
				var got []byte
				for _, o := range list {
					p, err := Open(path, o)
					require.NoError(t, err)
					require.Empty(t, p.Notes)
					got = append(got, RGB(p)[0])
				}
				require.ElementsMatch(t, test.want, got, "%s %s %+v", writer, order, test.o)
			}
			all, err := Pages(path, Options{})
			require.NoError(t, err)
			require.Len(t, all, 24)
		}
	}
}

// Scenes of an OME-TIFF file are a choice, too; planes of other files are told of.
func TestScenesAndPlanesElsewhere(t *testing.T) {
	image := `<Image><Pixels DimensionOrder="XYCZT" SizeC="1" SizeZ="2" SizeT="1"><TiffData IFD="%d" PlaneCount="2"/><TiffData IFD="0" FirstZ="1"><UUID FileName="b.tif">urn:b</UUID></TiffData></Pixels></Image>`
	var pages []tifftest.Page
	for i := range 4 {
		pages = append(pages, tifftest.Page{Width: 1, Height: 1, Photometric: 1, Planes: [][]byte{{byte(i)}}})
	}
	pages[0].Description = `<OME UUID="urn:a">` + fmt.Sprintf(image, 0) + fmt.Sprintf(image, 2) + `</OME>`
	file := tifftest.Encode(binary.LittleEndian, false, pages...)
	p, err := Decode(bytes.NewReader(file), Options{Scene: 2, MaxZ: true})
	require.NoError(t, err)
	require.Equal(t, byte(3), RGB(p)[0])
	require.Equal(t, []string{"2 of the planes that it lists are in other files, which are not read"}, p.Warnings)
	_, err = Decode(bytes.NewReader(file), Options{MaxZ: true})
	require.ErrorContains(t, err, "2 scenes, 2 slices: choose a scene with Options.Scene; or take each")
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
	pages, err = Pages("testdata/tiff/ome.ome.tif", Options{Channels: []string{"GFP", "DAPI"}})
	require.NoError(t, err)
	require.Equal(t, []Options{{Channels: []string{"GFP", "DAPI"}, Z: 1}, {Channels: []string{"GFP", "DAPI"}, Z: 2}, {Channels: []string{"GFP", "DAPI"}, Z: 3}}, pages)
	_, err = Pages("testdata/tiff/pages.tif", Options{Page: 1})
	require.ErrorIs(t, err, ErrChoice)
}

// A list of pages that breaks off, or leads back, is read as far as it goes and told of.
func TestBrokenListOfPages(t *testing.T) {
	whole, err := os.ReadFile("testdata/tiff/u16.tif")
	require.NoError(t, err)
	at := binary.LittleEndian.Uint32(whole[4:])
	next := int(at) + 2 + 12*int(binary.LittleEndian.Uint16(whole[at:]))
	for value, want := range map[uint32]string{at: "leads back", 0xffffff: "ends too early", uint32(len(whole)) - 2: "behind page 1"} {
		file := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(file[next:], value)
		p, err := Decode(bytes.NewReader(file), Options{})
		require.NoError(t, err)
		require.Len(t, p.Warnings, 1)
		require.Contains(t, p.Warnings[0], "the list of pages is broken behind page 1 (")
		require.Contains(t, p.Warnings[0], want)
	}
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
		"samples": tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 9, Height: 9, Samples: 10000, Photometric: 2, Planes: [][]byte{{0}}}),
		"tags":    tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 9, Height: 9, Planes: [][]byte{{0}}, Tags: map[uint16]uint32{277: 65535}}),
	} {
		bounded(t, len(file), func() int {
			_, err := Decode(bytes.NewReader(file), Options{})
			require.Error(t, err, name)
			return 0
		})
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

// Whatever a stack claims, each picture that Pages lists can be read, or is an error.
func FuzzStack(f *testing.F) {
	for _, name := range []string{"imagej.tif", "ome.ome.tif", "pages.tif", "pyramid.tif", "shaped.tif", "imagej_contiguous.tif", "five_planar.tif"} {
		data, err := os.ReadFile("testdata/tiff/" + name)
		require.NoError(f, err)
		f.Add(data, byte(0), byte(0), byte(0), "")
		f.Add(data, byte(1), byte(0), byte(1), "2")
		f.Add(data, byte(255), byte(1), byte(0), "GFP,DAPI")
	}
	f.Fuzz(func(t *testing.T, data []byte, z, tm, scene byte, channels string) {
		o := Options{MaxPixels: 1 << 14, Z: int(z), Time: int(tm), Scene: int(scene), Normalize: Auto}
		if z == 255 {
			o.Z, o.MaxZ = 0, true
		}
		if channels != "" {
			o.Channels = strings.Split(channels, ",")
		}
		bounded(t, len(data), func() int { return pixelsRead(Decode(bytes.NewReader(data), o)) })
		file, err := openTIFF(bytes.NewReader(data), int64(len(data)))
		if err != nil || o.validate() != nil {
			return
		}
		list, err := file.pages(o)
		if err != nil {
			return
		}
		for _, one := range list[:min(len(list), 8)] {
			if err := one.validate(); err != nil {
				t.Fatalf("%+v: %v", one, err)
			}
			if _, err := file.read(one); errors.Is(err, ErrChoice) && strings.Contains(err.Error(), "picture.Pages") {
				t.Fatalf("%+v leaves a choice: %v", one, err)
			}
		}
	})
}
