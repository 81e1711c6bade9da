package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
)

// A PNG file that ends behind its pixels is read, one that ends in them is not.
func TestPNGWithoutItsEnd(t *testing.T) {
	m := image.NewGray16(image.Rect(0, 0, 40, 30))
	for i := range 40 * 30 {
		m.SetGray16(i%40, i/40, color.Gray16{Y: uint16(i * 97)})
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	want, err := Decode(bytes.NewReader(b.Bytes()), Options{})
	require.NoError(t, err)
	got, err := Decode(bytes.NewReader(b.Bytes()[:b.Len()-12]), Options{})
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = Decode(bytes.NewReader(b.Bytes()[:b.Len()-40]), Options{})
	require.ErrorIs(t, err, ErrTruncated)
}
