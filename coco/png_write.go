package coco

import (
	"image"
	"image/png"
	"io"
	"sync"
)

// encodePNG writes a PNG. What its encoder works with is kept for the next one: it takes longer to make than most
// masks take to write.
func encodePNG(w io.Writer, img image.Image) error {
	return (&png.Encoder{BufferPool: &encoders}).Encode(w, img)
}

var encoders encoderPool

type encoderPool struct{ pool sync.Pool }

func (p *encoderPool) Get() *png.EncoderBuffer {
	b, _ := p.pool.Get().(*png.EncoderBuffer)
	return b
}

func (p *encoderPool) Put(b *png.EncoderBuffer) { p.pool.Put(b) }
