package pngrepair

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

// file returns a PNG file of a header and raw pixels, of which the compressed stream, with trailer behind
// it, is in chunks of some sizes and the rest.
func file(header [13]byte, raw, trailer []byte, end bool, sizes ...int) []byte {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	w.Write(raw)
	w.Close()
	packed.Write(trailer)
	out := appendChunk([]byte(signature), "IHDR", header[:])
	rest := packed.Bytes()
	for _, n := range sizes {
		out = appendChunk(out, "IDAT", rest[:n])
		rest = rest[n:]
	}
	out = appendChunk(out, "IDAT", rest)
	if end {
		out = appendChunk(out, "IEND", nil)
	}
	return out
}

func header(w, h uint32, bits, kind, interlace byte) (out [13]byte) {
	binary.BigEndian.PutUint32(out[:], w)
	binary.BigEndian.PutUint32(out[4:], h)
	out[8], out[9], out[12] = bits, kind, interlace
	return out
}

func TestWhatFollowsThePixels(t *testing.T) {
	raw := make([]byte, 0, 20*31)
	for y := range 20 {
		raw = append(raw, 0)
		for x := range 30 {
			raw = append(raw, byte(7*x+31*y))
		}
	}
	grey := header(30, 20, 8, 0, 0)
	want, err := png.Decode(bytes.NewReader(file(grey, raw, nil, true)))
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"whole":             file(grey, raw, nil, true),
		"no end":            file(grey, raw, nil, false),
		"a cut end":         file(grey, raw, nil, true)[:len(file(grey, raw, nil, false))+5],
		"empty chunks":      file(grey, raw, nil, true, 0, 5, 0, 1, 0),
		"bytes behind":      file(grey, raw, []byte("trailer"), true),
		"bytes in a chunk":  file(grey, raw, bytes.Repeat([]byte("trailer"), 2000), true, 50, 60),
		"more rows":         file(grey, append(bytes.Clone(raw), make([]byte, 62)...), nil, true, 9),
		"more rows, no end": file(grey, append(bytes.Clone(raw), 1), nil, false),
	} {
		got, err := Decode(data)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	short, broken := file(grey, raw[:len(raw)-1], nil, false), file(grey, raw, nil, false)
	broken[len(broken)-20]++ // in the stream
	whole := file(grey, raw, nil, false)
	for name, data := range map[string][]byte{
		"too few pixels": short, "a damaged chunk": broken, "cut in the pixels": whole[:len(whole)-30], "cut in the checksum": whole[:len(whole)-1],
		"a header alone": whole[:33], "nothing": nil, "no PNG": []byte("GIF89a"),
	} {
		_, err := Decode(data)
		require.Error(t, err, name)
	}
}

// Pixels of other kinds: the sizes of passes and rows, palettes and transparency.
func TestRawBytes(t *testing.T) {
	require.Equal(t, int64(3*(1+3)), rawBytes(ptr(header(5, 3, 4, 3, 0))))
	require.Equal(t, int64(2*(1+7*8)), rawBytes(ptr(header(7, 2, 16, 6, 0))))
	// Passes of 5×5: 1×1, 1×1, 2×1, 1×2, 3×1, 2×3, 5×2.
	n := int64(2 + 2 + 3 + 2*2 + 4 + 3*3 + 2*6)
	require.Equal(t, n, rawBytes(ptr(header(5, 5, 8, 0, 1))))
	got, err := Decode(file(header(5, 5, 8, 0, 1), make([]byte, n), nil, false))
	require.NoError(t, err)
	require.Equal(t, image.NewGray(image.Rect(0, 0, 5, 5)), got)

	m := image.NewPaletted(image.Rect(0, 0, 9, 4), color.Palette{color.NRGBA{1, 2, 3, 255}, color.NRGBA{4, 5, 6, 0}})
	m.Pix[7] = 1
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	want, err := png.Decode(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	got, err = Decode(b.Bytes()[:b.Len()-12])
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func ptr(h [13]byte) []byte { return h[:] }
