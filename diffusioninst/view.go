package diffusioninst

import (
	"image"

	"github.com/diffusioninst/go/picture"
)

// view is a look at a picture or at one tile of it: what the network sees as one
// element of a batch.
type view struct {
	look
	picture       int             // of the request
	size          image.Point     // of the picture
	part          image.Rectangle // of the picture, from its upper left corner
	core          Box             // it answers for objects whose boxes have their centre here
	width, height int             // of the network's input, without padding
	seed          uint64
}

// tiled reports whether the view is a part of the picture.
func (v view) tiled() bool { return v.part.Size() != v.size }

// answers reports whether an object with this box, in pixels of the picture, is the
// view's to report. Each point is in the core of a tile, and near the middle between two in both.
func (v view) answers(b Box) bool {
	x, y := (b.X1+b.X2)/2, (b.Y1+b.Y2)/2
	return x >= v.core.X1 && x < v.core.X2 && y >= v.core.Y1 && y < v.core.Y2
}

// place maps a box in pixels of the view's part to the picture.
func (v view) place(b Box) Box {
	if v.mirrored {
		b = b.FlipX(v.part.Dx())
	}
	return b.Shift(float32(v.part.Min.X), float32(v.part.Min.Y))
}

// What the seeds of views of other sizes and of restarts differ by: far more than pictures and
// tiles do, also in the low 32 bits, which are all that LibTorch's generator looks at.
const (
	factorSeed  uint64 = 0xbf58476d1ce4e5b9
	restartSeed uint64 = 0x9e3779b97f4a7c15
)

// views returns the views of a picture of a size. Neighbouring tiles overlap, and their cores
// reach a little beyond the middle of the overlap: tiles differ in where they find the centre of an object, and one that each left to the
// other would be lost. What both report is merged by non-maximum suppression, and stays twice in a model without it. Objects up to seven eighths of the overlap are seen whole by the tiles that answer for them.
func (s *settings) views(index int, size image.Point) []view {
	var out []view
	scales := uint64(s.looks[len(s.looks)-1].index + 1)
	seed := s.seed + uint64(index)
	if s.seeds != nil {
		seed = s.seeds[index]
	}
	for _, l := range s.looks {
		tile, overlap, scale := s.tiles(l.input, size)
		columns, rows := spans(size.X, tile, overlap), spans(size.Y, tile, overlap)
		for j, y := range rows {
			for i, x := range columns {
				v := view{
					look: l, picture: index, size: size,
					part: image.Rect(x.from, y.from, x.to, y.to),
					core: Box{X1: x.coreAt, Y1: y.coreAt, X2: x.coreTo, Y2: y.coreTo},
					seed: seed + uint64(l.index) + scales*uint64(j*len(columns)+i) + uint64(l.factor)*factorSeed,
				}
				if v.tiled() {
					v.width, v.height = picture.Scale(v.part.Dx(), v.part.Dy(), scale, 0)
				} else {
					v.width, v.height = l.input.size(size.X, size.Y)
				}
				out = append(out, v)
			}
		}
	}
	return out
}

// tiles returns the side and the overlap of tiles in pixels of a picture of a size, and
// what its sides are multiplied by. A picture that is not cut into tiles is one tile.
func (s *settings) tiles(in Input, size image.Point) (tile, overlap int, scale float64) {
	longest := max(size.X, size.Y)
	if s.tile == 0 {
		return longest, 0, 0
	}
	width, height := in.size(size.X, size.Y)
	factor := float64(size.X) / float64(width)
	if float64(s.tile)*factor >= float64(longest) {
		return longest, 0, 0
	}
	scale = in.Scale
	if !(scale > 0) || in.Longest > 0 && max(width, height) == in.Longest {
		scale = 1 / factor
	}
	tile = max(int(float64(s.tile)*factor+0.5), minTile/4)
	switch {
	case s.overlap > 0:
		overlap = min(int(float64(s.overlap)*factor+0.5), tile-1)
	case s.overlap == 0:
		overlap = tile / 4
	}
	return tile, overlap, scale
}

// span is a tile's place on one axis: pixels from … to−1, and the core.
type span struct {
	from, to       int
	coreAt, coreTo float32
}

// spans cuts a length into tiles of one size that overlap by at least so much, evenly.
// Centres beyond the picture belong to the first and the last tile.
func spans(length, tile, overlap int) []span {
	const far = 1 << 30
	n := spanCount(length, tile, overlap)
	if n == 1 {
		return []span{{0, length, -far, far}}
	}
	out := make([]span, n)
	for i := range out {
		from := i * (length - tile) / (n - 1)
		out[i] = span{from, from + tile, -far, far}
		if i > 0 {
			middle, both := float32(from+out[i-1].to)/2, float32(out[i-1].to-from)/16
			out[i-1].coreTo, out[i].coreAt = middle+both, middle-both
		}
	}
	return out
}

// spanCount returns the number of spans that cut a length.
func spanCount(length, tile, overlap int) int {
	if length <= tile {
		return 1
	}
	return (length - overlap + tile - overlap - 1) / (tile - overlap)
}

// What tiles that go through the network together have at most, and on a processor pictures of one size.
const (
	passPixels    = 1 << 18
	passProposals = 1 << 13
)

// passes groups views that go through the network together: the whole pictures of one
// look, padded to a common size, and neighbouring tiles of a picture. If apart is not 0, pictures whose sizes differ once they are padded
// to multiples of it are not grouped, nor more pixels than tiles have. The views of a picture follow each other.
func passes(views []view, proposals, apart int) [][]view {
	type kind struct {
		look
		width, height int
	}
	var out [][]view
	fits := func(pass []view, v view) bool {
		together := len(pass) + 1
		return together*v.width*v.height <= passPixels && together*proposals <= passProposals
	}
	room := map[kind]int{} // the open pass of whole pictures of each kind
	for _, v := range views {
		if !v.tiled() {
			k := kind{look: v.look}
			if apart > 0 {
				k.width, k.height = (v.width+apart-1)/apart, (v.height+apart-1)/apart
			}
			if at, ok := room[k]; ok && (apart == 0 || fits(out[at], v)) {
				out[at] = append(out[at], v)
				continue
			}
			room[k] = len(out)
		} else if n := len(out); n > 0 {
			last := out[n-1]
			if p := last[0]; p.tiled() && p.picture == v.picture && p.look == v.look && fits(last, v) {
				out[n-1] = append(last, v)
				continue
			}
		}
		out = append(out, []view{v})
	}
	return out
}
