package diffusioninst

import (
	"context"
	"image"
	"runtime/trace"
	"time"

	"github.com/diffusioninst/go/internal/imagecheck"
)

// prepared are the views of a pass, and their pixels as the network sees them.
type prepared struct {
	views  []view
	pixels []Pixels // nil until they are read
	took   time.Duration
	err    error
}

// reader returns the passes in their order, prepared: it is called for the next one while the network runs. Whether views of
// larger sizes are wanted depends on what smaller ones find, so that these are not read ahead.
func (q *request) reader() func(context.Context) (*prepared, bool) {
	next := 0
	return func(ctx context.Context) (*prepared, bool) {
		if next == len(q.passes) {
			return nil, false
		}
		p := &prepared{views: q.passes[next]}
		next++
		if p.views[0].factor == 0 {
			q.prepare(ctx, p)
		}
		return p, true
	}
}

// prepare reads the views' pixels, which stay empty if they are on the device already.
func (q *request) prepare(ctx context.Context, p *prepared) {
	start := time.Now()
	defer trace.StartRegion(ctx, "diffusioninst.prepare").End()
	p.pixels = make([]Pixels, len(p.views))
	if q.tensor != nil {
		return
	}
	for i, v := range p.views {
		if p.pixels[i], p.err = v.read(q.images[v.picture]); p.err != nil {
			p.err = q.name(v.picture, q.wrap(v, p.err))
			break
		}
	}
	p.took = time.Since(start)
}

// read returns the view's pixels as the network sees them.
func (v view) read(img image.Image) (p Pixels, err error) {
	var unreadable error
	err = imagecheck.Guard(func() { p, unreadable = pixels(img, v.part, v.width, v.height) })
	if err == nil {
		err = unreadable
	}
	if err != nil {
		return p, &ImageError{v.size.X, v.size.Y, err.Error(), err}
	}
	if v.mirrored {
		p.mirror()
	}
	return p, nil
}
