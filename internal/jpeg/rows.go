package jpeg

import (
	"image"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/diffusioninst/go/internal/relay"
)

// rows are the rows of MCUs of a picture, which several goroutines transform to samples.
type rows struct {
	*decoder
	img      image.Image // nil if it is put together when all rows are there
	done     func(img image.Image, from, to int)
	streamed bool           // all are transformed
	missing  []atomic.Int32 // of each row: how many of itself and its neighbours are not transformed
}

func (d *decoder) rows(done func(img image.Image, from, to int)) *rows {
	first := d.components[0]
	r := &rows{decoder: d, done: done, missing: make([]atomic.Int32, first.rows/first.v)}
	for i := range r.missing {
		r.missing[i].Store(3)
	}
	r.missing[0].Add(-1)
	r.missing[len(r.missing)-1].Add(-1)
	return r
}

// room makes room for the samples of the first n rows.
func (r *rows) room(n int) {
	for _, c := range r.components {
		pix := make([]uint8, 64*c.stride*c.v*n)
		copy(pix, c.pix)
		c.pix = pix
	}
	r.img = r.image()
}

// part returns how many rows have room while those behind the first n are read: all of most
// pictures. The header is not believed: what is beyond four times the rows read has room only if
// it is little next to the file.
func (r *rows) part(n int) int {
	row := 0
	for _, c := range r.components {
		row += 64 * c.stride * c.v
	}
	return min(len(r.missing), max(n+1, 4*n, (len(r.data)+4<<20)/row))
}

// A band holds the coefficients of a row of MCUs, in the order of the file.
type band struct {
	blocks []block
	last   []uint8 // in each, the last that is not 0
}

const (
	alone    = 1 << 17 // pixels for which one goroutine is enough
	maxBands = 8 << 20 // bytes
)

// workers is the number of goroutines, of which each has so many bytes for itself.
func (r *rows) workers(bytes int) int {
	if r.width*r.height < alone {
		return 1
	}
	return max(1, min(runtime.GOMAXPROCS(0), len(r.missing), maxBands/max(bytes, 1)))
}

// stream reads and transforms all rows.
func (r *rows) stream(s *scan) error {
	blocks := 0
	for _, c := range s.components {
		blocks += c.stride * c.v
	}
	workers := r.workers(blocks * 64 * 4)
	bands := make(chan *band, workers)
	for range workers {
		bands <- &band{make([]block, blocks), make([]uint8, blocks)}
	}
	var reading sync.Mutex
	next := 0
	var failed error
	read := func(b *band) (y int, ok bool) {
		reading.Lock()
		defer reading.Unlock()
		if failed == nil {
			failed = s.row(b)
			next++
		}
		return next - 1, failed == nil
	}
	for from, to := 0, 0; from < len(r.missing) && failed == nil; from = to {
		to = r.part(from)
		r.room(to)
		relay.Each(workers, to-from, func(int) {
			b := <-bands
			if y, ok := read(b); ok {
				s.transform(b, y)
				r.finish(y)
			}
			bands <- b
		})
	}
	r.streamed = failed == nil
	return failed
}

// transform writes the samples of row y.
func (s *scan) transform(b *band, y int) {
	at := 0
	for x := range s.components[0].stride / s.components[0].h {
		for _, c := range s.components {
			for v := range c.v {
				for h := range c.h {
					b.blocks[at].transform(int(b.last[at]), c.samples(x*c.h+h, y*c.v+v), 8*c.stride)
					at++
				}
			}
		}
	}
}

// samples returns the samples from a block on.
func (c *component) samples(x, y int) []uint8 { return c.pix[64*c.stride*y+8*x:] }

// finish hands on the rows that were waiting for row y only.
func (r *rows) finish(y int) {
	for i := max(y-1, 0); i <= min(y+1, len(r.missing)-1); i++ {
		if r.missing[i].Add(-1) == 0 && r.img != nil {
			size := 8 * r.components[0].rows / len(r.missing)
			r.done(r.img, i*size, min((i+1)*size, r.height))
		}
	}
}

// rest transforms what several scans have coded, and hands on a picture that is put together
// in the end. It returns the picture.
func (r *rows) rest() image.Image {
	if !r.streamed {
		r.room(len(r.missing))
		relay.Each(r.workers(0), len(r.missing), func(y int) {
			for _, c := range r.components {
				for v := range c.v {
					c.transform(y*c.v + v)
				}
			}
			r.finish(y)
		})
	}
	if r.img == nil {
		r.img = r.whole()
		r.done(r.img, 0, r.height)
	}
	return r.img
}

// transform writes the samples of a row of blocks.
func (c *component) transform(y int) {
	var row [][64]int16
	if c.coefficients != nil {
		row = c.coefficients[y]
	}
	for x := range c.stride {
		var b block
		last := 0
		if row != nil {
			for k, v := range row[x] {
				if v != 0 {
					b[c.dequantizer.at[k]&31] += int64(v) * c.dequantizer.factor[k]
					last = k
				}
			}
		}
		b.transform(last, c.samples(x, y), 8*c.stride)
	}
}
