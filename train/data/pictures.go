package data

import (
	"cmp"
	"sync"

	"github.com/diffusioninst/go/picture"
)

// defaultKept is the limit of pictures in bytes, unless KeepPictures sets another.
const defaultKept = 512 << 20

// pictures reads files and keeps the first of them, up to a number of bytes.
type pictures struct {
	limit   int64
	options picture.Options
	remark  func(path string, p *picture.Picture)

	mutex sync.Mutex
	used  int64
	kept  map[string]decoded
}

type decoded struct {
	rgb           []uint8
	width, height int
}

// keep sets the limit: 0 for the default, negative for none.
func (p *pictures) keep(bytes int64) { p.limit = max(cmp.Or(bytes, defaultKept), 0) }

// read returns the picture of a file, which must not be changed.
func (p *pictures) read(path string) (rgb []uint8, width, height int, err error) {
	p.mutex.Lock()
	known, ok := p.kept[path]
	p.mutex.Unlock()
	if ok {
		return known.rgb, known.width, known.height, nil
	}
	options := p.options
	options.Normalize = cmp.Or(options.Normalize, picture.Auto)
	img, err := picture.Open(path, options)
	if err != nil {
		return nil, 0, 0, err
	}
	if p.remark != nil {
		p.remark(path, img)
	}
	d := decoded{picture.RGB(img), img.Bounds().Dx(), img.Bounds().Dy()}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if _, ok := p.kept[path]; !ok && p.used+int64(len(d.rgb)) <= p.limit {
		if p.kept == nil {
			p.kept = map[string]decoded{}
		}
		p.kept[path] = d
		p.used += int64(len(d.rgb))
	}
	return d.rgb, d.width, d.height, nil
}
