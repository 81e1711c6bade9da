package coco

import (
	"image"
	"image/png"
	"io"

	"github.com/diffusioninst/go/internal/pngbuffer"
)

func encodePNG(w io.Writer, img image.Image) error {
	return (&png.Encoder{BufferPool: pngbuffer.Shared}).Encode(w, img)
}
