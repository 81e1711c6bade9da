package picture

import (
	"encoding/binary"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// All channels of a file are measured with the values that the file has, whichever the model sees.
func TestOpenChannels(t *testing.T) {
	save := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "a.tif")
		require.NoError(t, os.WriteFile(path, data, 0o666))
		return path
	}
	row := func(c Channel) []float64 {
		dst := make([]float64, 2)
		c.Samples(dst, 1, 1)
		return dst
	}
	le := binary.AppendByteOrder(binary.LittleEndian)
	var floats, words []byte
	for i := range 3 * 2 * 4 { // 3×2 pixels of 4 channels
		floats = le.AppendUint32(floats, math.Float32bits(float32(i)/2-3))
		words = le.AppendUint16(words, uint16(1000*i))
	}
	for _, o := range []Options{{}, {Channels: []string{"3"}}, {Channels: []string{"4", "2"}}, {Normalize: Auto}} {
		path := save(tifftest.Encode(le, false, tifftest.Page{Width: 3, Height: 2, Samples: 4, Bits: 32, Format: 3, Photometric: 1, Planes: [][]byte{floats}}))
		p, channels, err := OpenChannels(path, o)
		require.NoError(t, err)
		require.IsType(t, &Float{}, p.Image)
		require.Len(t, channels, 4)
		for k, c := range channels {
			require.Equal(t, []float64{float64(16+k)/2 - 3, float64(20+k)/2 - 3}, row(c))
			require.Equal(t, p.Channels[k], c.Name)
		}
	}
	_, channels, err := OpenChannels(save(tifftest.Encode(le, false, tifftest.Page{Width: 3, Height: 2, Samples: 4, Bits: 16, Photometric: 1, Planes: [][]byte{words}})), Options{})
	require.NoError(t, err)
	require.Len(t, channels, 4)
	require.Equal(t, []float64{19000, 23000}, row(channels[3]))

	grey := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(grey.Pix, []uint8{0, 1, 2, 3, 4, 5})
	colour := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	for i := range colour.Pix {
		colour.Pix[i] = uint8(10*i) | 1
		if i%4 == 3 {
			colour.Pix[i] = 255
		}
	}
	for name, img := range map[string]image.Image{"grey": grey, "colour": colour} {
		path := filepath.Join(t.TempDir(), "a.png")
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, img))
		require.NoError(t, f.Close())
		p, channels, err := OpenChannels(path, Options{})
		require.NoError(t, err)
		require.Len(t, p.Samples(), len(channels))
		if name == "grey" {
			require.Len(t, channels, 1)
			require.Equal(t, []float64{4, 5}, row(channels[0]))
			continue
		}
		require.Len(t, channels, 3)
		for k, c := range channels {
			at := colour.PixOffset(1, 1) + k
			require.Equal(t, []float64{float64(colour.Pix[at]), float64(colour.Pix[at+4])}, row(c))
		}
		_, channels, err = OpenChannels(path, Options{Channels: []string{"green"}})
		require.NoError(t, err)
		require.Len(t, channels, 3)
		require.Equal(t, "blue", channels[2].Name)
	}
}
