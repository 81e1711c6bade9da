package picture

import (
	"bytes"
	"fmt"
	"image"

	"golang.org/x/image/webp"

	"github.com/diffusioninst/go/internal/jpeg"
	"github.com/diffusioninst/go/internal/tiff"
)

// tiffCodecs decode the parts of TIFF files that are pictures themselves.
var tiffCodecs = map[int]tiff.Codec{tiff.CompressJPEG: jpegSamples, tiff.CompressWebP: webpSamples}

// jpegSamples decodes a JPEG of 1, 3 or 4 components.
func jpegSamples(stream []byte, colours tiff.Photometric, maxWidth, maxHeight int) ([]byte, int, int, int, error) {
	if colours != tiff.YCbCr {
		stream = withoutTransform(stream)
	}
	header, err := jpeg.ReadHeader(stream)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	w, h := header.Width, header.Height
	if w > maxWidth+16 || h > maxHeight+16 {
		return nil, 0, 0, 0, fmt.Errorf("a JPEG of %d×%d pixels in a part of %d×%d", w, h, maxWidth, maxHeight)
	}
	img, err := jpeg.Decode(stream)
	if err != nil {
		return nil, 0, 0, 0, err
	}
	switch m := img.(type) {
	case *image.Gray:
		pix := make([]byte, 0, w*h)
		for y := range h {
			pix = append(pix, m.Pix[y*m.Stride:][:w]...)
		}
		return pix, w, h, 1, nil
	case *image.CMYK: // in the file they are inverted
		pix := make([]byte, 0, 4*w*h)
		for y := range h {
			for _, v := range m.Pix[y*m.Stride:][:4*w] {
				pix = append(pix, 255-v)
			}
		}
		return pix, w, h, 4, nil
	}
	return RGB(img), w, h, 3, nil
}

// withoutTransform puts Adobe's marker, with "no colour transform", behind the first marker.
func withoutTransform(stream []byte) []byte {
	if len(stream) < 2 {
		return stream
	}
	out := append([]byte{0xff, 0xd8}, 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0)
	return append(out, stream[2:]...)
}

func webpSamples(stream []byte, _ tiff.Photometric, maxWidth, maxHeight int) ([]byte, int, int, int, error) {
	header, err := webp.DecodeConfig(bytes.NewReader(stream))
	if err != nil {
		return nil, 0, 0, 0, err
	}
	if header.Width > maxWidth || header.Height > maxHeight {
		return nil, 0, 0, 0, fmt.Errorf("a WebP of %d×%d pixels in a part of %d×%d", header.Width, header.Height, maxWidth, maxHeight)
	}
	img, err := webp.Decode(bytes.NewReader(stream))
	if err != nil {
		return nil, 0, 0, 0, err
	}
	rgb := make([]byte, 3*header.Width*header.Height)
	rows := rowsOf(img, true)
	for y := range header.Height {
		rows(y, rgb[3*header.Width*y:][:3*header.Width])
	}
	return rgb, header.Width, header.Height, 3, nil
}
