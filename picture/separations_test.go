package picture

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// A single ink is a channel, not a fourth of cyan, magenta, yellow and black.
func TestSingleInk(t *testing.T) {
	grey, err := os.ReadFile("testdata/grey.tiff")
	require.NoError(t, err)
	require.Equal(t, "II*\x00", string(grey[:4]))
	ink := bytes.Clone(grey)
	at := binary.LittleEndian.Uint32(ink[4:])
	for i := range binary.LittleEndian.Uint16(ink[at:]) {
		if e := ink[at+2+12*uint32(i):]; binary.LittleEndian.Uint16(e) == 262 { // what the samples mean
			e[8] = 5
		}
	}
	require.NotEqual(t, grey, ink)
	want, err := Decode(bytes.NewReader(grey), Options{})
	require.NoError(t, err)
	got, err := Decode(bytes.NewReader(ink), Options{})
	require.NoError(t, err)
	require.Equal(t, RGB(want), RGB(got))
}
