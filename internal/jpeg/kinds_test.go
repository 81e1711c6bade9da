package jpeg

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is not decoded is said in words, with a way out.
func TestKindsThatAreNotDecoded(t *testing.T) {
	file := func(marker byte, components ...byte) []byte {
		out := []byte{0xff, 0xd8, 0xff, marker, 0, byte(8 + 3*len(components)), 8, 0, 8, 0, 8, byte(len(components))}
		for _, c := range components {
			out = append(out, c, 0x11, 0)
		}
		return append(out, 0xff, 0xd9)
	}
	for marker := byte(0xc3); marker <= 0xcf; marker++ {
		if marker == 0xc4 || marker == 0xc8 || marker == 0xcc { // no frames
			continue
		}
		_, err := ReadHeader(file(marker, 1))
		require.NotEmpty(t, kinds[marker])
		require.EqualError(t, err, fmt.Sprintf("%s JPEG (frame %#x) is not supported: save it as PNG, or as TIFF with LZW or deflate", kinds[marker], marker))
	}
	_, err := ReadHeader(file(0xc0, 1, 2))
	require.EqualError(t, err, "a JPEG of 2 components is not supported: save it as PNG, or as TIFF with LZW or deflate")
}
