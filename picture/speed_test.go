package picture

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkInput reads a picture of 12 megapixels and brings it to a network's input.
func BenchmarkInput(b *testing.B) {
	img := image.NewRGBA(image.Rect(0, 0, 4000, 3000))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		x, y := float64(i/4%4000), float64(i/16000)
		img.Pix[i] = uint8(128 + 60*math.Sin(x/50+float64(i%4)) + 50*math.Cos(y/31) + 4*r.NormFloat64())
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	var lossy, lossless bytes.Buffer
	require.NoError(b, jpeg.Encode(&lossy, img, &jpeg.Options{Quality: 90}))
	require.NoError(b, png.Encode(&lossless, img))
	for name, file := range map[string][]byte{"JPEG": lossy.Bytes(), "PNG": lossless.Bytes()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p, err := Decode(bytes.NewReader(file), Options{})
				require.NoError(b, err)
				ResizeImage(p, 1067, 800)
			}
		})
	}
}
