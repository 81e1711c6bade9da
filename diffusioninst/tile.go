package diffusioninst

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/draw"
	"slices"

	"github.com/diffusioninst/go/internal/picture"
)

// segmentTiles finds the instances in a picture tile by tile. Each tile answers for the
// objects whose boxes have their centre in its core: neighbours' cores meet in the middle
// of their overlap. Objects up to the size of the overlap are thus seen whole. What two
// tiles have found along the line where cores meet goes through the model's NMS.
func (m *Model) segmentTiles(ctx context.Context, img image.Image, tile, overlap int, o Options) (*Result, error) {
	bounds := img.Bounds()
	out := &Result{Width: bounds.Dx(), Height: bounds.Dy()}
	columns, rows := spans(out.Width, tile, overlap), spans(out.Height, tile, overlap)
	for j, y := range rows {
		for i, x := range columns {
			part := image.Rect(x.from, y.from, x.to, y.to)
			with := o
			with.Seed += uint64(j*len(columns) + i)
			found, err := m.segment(ctx, []image.Image{window(img, part.Add(bounds.Min))}, with, nil)
			if err != nil {
				return nil, fmt.Errorf("tile %v: %w", part, err)
			}
			for _, in := range found[0].Instances {
				in.Box = in.Box.Shift(float32(x.from), float32(y.from))
				if b := in.Box; x.answers((b.X1+b.X2)/2) && y.answers((b.Y1+b.Y2)/2) {
					in.Mask = in.Mask.Crop(image.Rect(0, 0, out.Width, out.Height).Sub(part.Min))
					out.Instances = append(out.Instances, in)
				}
			}
		}
	}
	slices.SortStableFunc(out.Instances, func(a, b Instance) int { return cmp.Compare(b.Score, a.Score) })
	if m.config.NMS >= 0 {
		out.Instances = suppress(out.Instances, m.config.NMS)
	}
	if o.Limit > 0 {
		out.Instances = out.Instances[:min(len(out.Instances), o.Limit)]
	}
	return out, nil
}

// span is a tile's place on one axis: pixels from … to−1, and the core.
type span struct {
	from, to       int
	coreAt, coreTo float32
}

// answers tells whether a box with its centre at v is the tile's. Centres beyond the
// picture belong to the first and the last tile.
func (s span) answers(v float32) bool { return v >= s.coreAt && v < s.coreTo }

// spans cuts a length into tiles of one size that overlap by at least so much, evenly.
func spans(length, tile, overlap int) []span {
	const far = 1 << 30
	if length <= tile {
		return []span{{0, length, -far, far}}
	}
	n := (length - overlap + tile - overlap - 1) / (tile - overlap)
	out := make([]span, n)
	for i := range out {
		from := i * (length - tile) / (n - 1)
		out[i] = span{from, from + tile, -far, far}
		if i > 0 {
			middle := float32(from+out[i-1].to) / 2
			out[i-1].coreTo, out[i].coreAt = middle, middle
		}
	}
	return out
}

// window is a part of a picture.
func window(img image.Image, part image.Rectangle) image.Image {
	if m, ok := img.(interface {
		SubImage(image.Rectangle) image.Image
	}); ok {
		return m.SubImage(part)
	}
	out := image.NewRGBA(part)
	draw.Draw(out, part, img, part.Min, draw.Src)
	return out
}

// suppress leaves out instances that overlap a better one of their class by more than
// iou; they come best first.
func suppress(instances []Instance, iou float64) []Instance {
	var kept []Instance
	for _, in := range instances {
		if !slices.ContainsFunc(kept, func(k Instance) bool {
			return k.Class == in.Class && k.Box.IoU(in.Box) > float32(iou)
		}) {
			kept = append(kept, in)
		}
	}
	return kept
}

// tiles is the size and the overlap of tiles in pixels of the picture, or ok is false
// where it is segmented in one piece.
func (in Input) tiles(img image.Image, asked int) (tile, overlap int, ok bool) {
	if asked == 0 {
		asked = in.Tile
	}
	if asked <= 0 || img == nil {
		return 0, 0, false
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if w < 1 || h < 1 {
		return 0, 0, false
	}
	width, _ := picture.Scale(w, h, in.Scale, in.Longest)
	factor := float64(w) / float64(width)
	tile = max(int(float64(asked)*factor+0.5), 8)
	overlap = tile / 4
	if in.Overlap > 0 {
		overlap = min(int(float64(in.Overlap)*factor+0.5), tile-1)
	}
	return tile, overlap, w > tile || h > tile
}
