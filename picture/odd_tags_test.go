package picture

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The orientation of a JPEG is taken as 16 and as 32 bits, in both byte orders; what is none of
// 1 to 8 means upright.
func TestOrientationOfAnyWidth(t *testing.T) {
	base, err := os.ReadFile("testdata/444.jpg")
	require.NoError(t, err)
	upright, err := Decode(bytes.NewReader(base), Options{})
	require.NoError(t, err)
	size := upright.Bounds().Size()
	require.NotEqual(t, size.X, size.Y)
	exif := func(order binary.AppendByteOrder, mark string, long bool, value uint32) []byte {
		body := append([]byte("Exif\x00\x00"), mark...)
		body = order.AppendUint16(body, 42)
		body = order.AppendUint32(body, 8)
		body = order.AppendUint16(body, 1)
		body = order.AppendUint16(body, 0x112)
		if long {
			body = order.AppendUint32(order.AppendUint32(order.AppendUint16(body, 4), 1), value)
		} else {
			body = order.AppendUint32(order.AppendUint16(body, 3), 1)
			body = order.AppendUint16(order.AppendUint16(body, uint16(value)), 0)
		}
		body = order.AppendUint32(body, 0)
		segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2))
		return bytes.Join([][]byte{base[:2], segment, body, base[2:]}, nil)
	}
	for _, long := range []bool{false, true} {
		for value, turned := range map[uint32]bool{0: false, 1: false, 3: false, 6: true, 8: true, 9: false, 0xffff: false} {
			for mark, order := range map[string]binary.AppendByteOrder{"II": binary.LittleEndian, "MM": binary.BigEndian} {
				p, err := Decode(bytes.NewReader(exif(order, mark, long, value)), Options{})
				require.NoError(t, err)
				require.Equal(t, turned, p.Bounds().Dx() == size.Y, "orientation %d, 32 bits %v, %s", value, long, mark)
			}
		}
	}
}

// A page of several slices is refused, and not read as its first one.
func TestTIFFVolume(t *testing.T) {
	file := func(depth uint32) []byte {
		const w, h, entries = 4, 3, 8
		le := binary.LittleEndian
		out := append([]byte("II*\x00"), 8, 0, 0, 0)
		out = le.AppendUint16(out, entries)
		for _, tag := range [entries][2]uint32{{256, w}, {257, h}, {258, 8}, {262, 1}, {273, 10 + 12*entries}, {278, h}, {279, w * h}, {32997, depth}} {
			out = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(out, uint16(tag[0])), 4), 1), tag[1])
		}
		return append(out, make([]byte, 4+w*h*int(max(depth, 1)))...)
	}
	for depth, wrong := range map[uint32]string{0: "", 1: "", 2: "2 slices", 3: "3 slices"} {
		_, err := Decode(bytes.NewReader(file(depth)), Options{})
		if wrong == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, wrong)
	}
}
