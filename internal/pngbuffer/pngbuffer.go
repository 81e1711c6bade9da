// Package pngbuffer keeps what PNG encoders work with, which takes longer to make than most masks and
// small pictures take to encode.
package pngbuffer

import (
	"image/png"
	"sync"
)

// Shared is the BufferPool of a png.Encoder.
var Shared png.EncoderBufferPool = &pool{}

type pool struct{ buffers sync.Pool }

func (p *pool) Get() *png.EncoderBuffer {
	b, _ := p.buffers.Get().(*png.EncoderBuffer)
	return b
}

func (p *pool) Put(b *png.EncoderBuffer) { p.buffers.Put(b) }
