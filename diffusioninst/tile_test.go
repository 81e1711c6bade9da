package diffusioninst

import (
	"context"
	"image"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/torch"
)

func TestSpans(t *testing.T) {
	require.Equal(t, 1, len(spans(100, 100, 25)))
	for _, c := range []struct{ length, tile, overlap, tiles int }{
		{101, 100, 25, 2}, {175, 100, 25, 2}, {176, 100, 25, 3}, {1000, 100, 25, 13}, {1000, 64, 63, 937}, {65, 64, 0, 2},
	} {
		all := spans(c.length, c.tile, c.overlap)
		require.Len(t, all, c.tiles, c)
		require.Zero(t, all[0].from)
		require.Equal(t, c.length, all[len(all)-1].to)
		for i, s := range all {
			require.Equal(t, c.tile, s.to-s.from)
			if i > 0 {
				before := all[i-1]
				require.GreaterOrEqual(t, before.to-s.from, c.overlap)
				require.InDelta(t, float64(before.to-s.from)/8, before.coreTo-s.coreAt, 1e-3)
				// What lies in the core with seven sixteenths of the overlap around it lies in the tile.
				require.LessOrEqual(t, float32(s.from)+7*float32(c.overlap)/16, s.coreAt)
			}
		}
		for v := -5; v < c.length+5; v++ {
			n := 0
			for _, s := range all {
				if float32(v) >= s.coreAt && float32(v) < s.coreTo {
					n++
				}
			}
			require.GreaterOrEqual(t, n, 1, "a tile answers for %d", v)
			if 2*c.overlap <= c.tile {
				require.LessOrEqual(t, n, 2)
			}
		}
	}
}

func TestSegmentTiles(t *testing.T) {
	c := small()
	c.Input = Input{Scale: 1}
	m, err := New(context.Background(), c, 3, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	img, _ := simulate.Shapes(simulate.Options{Width: 150, Height: 70, Count: 6, Seed: 2})
	ctx, o := context.Background(), Options{Score: -1, Seed: 5}
	whole, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	o.Tile = 150
	same, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.Equal(t, whole, same, "the picture is a tile")

	o.Tile = 64
	found, err := m.Segment(ctx, img, o)
	require.NoError(t, err)
	require.Equal(t, [2]int{150, 70}, [2]int{found.Width, found.Height})
	require.NotEmpty(t, found.Instances)
	// Every instance is that of the tile that its centre lies in.
	columns, rows := spans(150, 64, 16), spans(70, 64, 16)
	parts := map[int]*Result{}
	for k := range len(columns) * len(rows) {
		x, y := columns[k%len(columns)], rows[k/len(columns)]
		with := o
		with.Seed += uint64(k)
		parts[k], err = m.Segment(ctx, img.SubImage(image.Rect(x.from, y.from, x.to, y.to)), with)
		require.NoError(t, err)
	}
	for _, in := range found.Instances {
		cx, cy := (in.Box.X1+in.Box.X2)/2, (in.Box.Y1+in.Box.Y2)/2
		matched := false
		for k, r := range parts {
			x, y := columns[k%len(columns)], rows[k/len(columns)]
			if cx < x.coreAt || cx >= x.coreTo || cy < y.coreAt || cy >= y.coreTo {
				continue
			}
			for _, p := range r.Instances {
				place := image.Rect(x.from, y.from, x.to, y.to)
				// Tiles go through the network together, which rounds otherwise.
				iou, err := p.Mask.IoU(in.Mask.Crop(place))
				require.NoError(t, err)
				near := math.Abs(float64(p.Score-in.Score)) < 1e-5
				matched = matched || near && (iou > 0.95 || p.Mask.Empty() && in.Mask.Empty())
			}
		}
		require.True(t, matched, "%v", in.Box)
	}
	for i, in := range found.Instances[1:] {
		require.LessOrEqual(t, in.Score, found.Instances[i].Score)
	}

	// The model's own setting, and no tiles on request.
	c.Input.Tile, c.Input.Overlap = 64, 16
	tiled, err := New(context.Background(), c, 3, torch.CPU)
	require.NoError(t, err)
	defer tiled.Close()
	batch, err := tiled.SegmentBatch(ctx, []image.Image{img, img.SubImage(image.Rect(0, 0, 60, 60))}, Options{Score: -1, Seed: 5})
	require.NoError(t, err)
	require.Equal(t, found, batch[0])
	alone, err := tiled.Segment(ctx, img.SubImage(image.Rect(0, 0, 60, 60)), Options{Score: -1, Seed: 6})
	require.NoError(t, err)
	require.Equal(t, alone, batch[1])
	one, err := tiled.Segment(ctx, img, Options{Score: -1, Seed: 5, Tile: -1, Limit: 3})
	require.NoError(t, err)
	require.Equal(t, whole.Instances[:3], one.Instances)
	limited, err := tiled.Segment(ctx, img, Options{Score: -1, Seed: 5, Limit: 3})
	require.NoError(t, err)
	require.Len(t, limited.Instances, 3)
}

// Tiles and augmented views are views alike: each look is cut into tiles of its own, and
// what they find is of the whole picture.
func TestTilesOfAugmentedViews(t *testing.T) {
	c := small()
	c.Input = Input{Scale: 1}
	m, err := New(context.Background(), c, 3, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	size := image.Pt(150, 70)
	s, err := Options{Tile: 64, Seed: 5, Augment: Augment{Scales: []int{70, 35, 140}, Flip: true}}.resolve(m.config)
	require.NoError(t, err)
	views, seeds := s.views(0, size), map[uint64]int{}
	tiles := map[int]int{}
	for _, v := range views {
		tiles[v.scale]++
		seeds[v.seed]++
		require.True(t, v.part.In(image.Rectangle{Max: size}))
		require.LessOrEqual(t, max(v.width, v.height), 75, "a tile of 64 pixels, or a picture that is not much larger")
		// The picture's proportions are kept.
		require.InDelta(t, float64(v.scale)/70, float64(v.width)/float64(v.part.Dx()), 0.02)
	}
	require.Equal(t, map[int]int{70: 2 * 6, 35: 2 * 2, 140: 2 * 18}, tiles)
	for seed, n := range seeds {
		require.Equal(t, 2, n, "only mirrored views share noise: %d", seed)
	}
	o := Options{Score: -1, Tile: 64, Augment: Augment{Scales: []int{70, 140}, Flip: true}}
	img, _ := simulate.Shapes(simulate.Options{Width: 150, Height: 70, Count: 6, Seed: 2})
	all, err := m.Segment(context.Background(), img, o)
	require.NoError(t, err)
	require.NotEmpty(t, all.Instances)
	for _, in := range all.Instances {
		require.Equal(t, img.Bounds(), in.Mask.Bounds())
	}
	o.Augment.IoU = -1
	apart, err := m.Segment(context.Background(), img, o)
	require.NoError(t, err)
	require.Greater(t, len(apart.Instances), len(all.Instances), "nothing is merged")
}

// Every view goes through the network once, tiles of a picture several at a time.
func TestPasses(t *testing.T) {
	s, err := Options{Tile: 64}.resolve(tiled(t))
	require.NoError(t, err)
	var views []view
	for i, size := range []image.Point{{500, 64}, {50, 40}, {64, 600}, {30, 60}} {
		views = append(views, s.views(i, size)...)
	}
	seen := map[view]int{}
	var batches []int
	for _, p := range passes(views, s.proposals, 0) {
		pixels := 0
		for _, v := range p {
			seen[v]++
			pixels += v.width * v.height
			require.Equal(t, v.tiled(), p[0].tiled())
		}
		if p[0].tiled() {
			require.LessOrEqual(t, pixels, passPixels)
		}
		batches = append(batches, len(p))
	}
	require.Len(t, seen, len(views))
	require.Equal(t, []int{11, 2, 13}, batches, "tiles of a picture, both whole pictures, tiles of the other")
	whole, err := Options{}.resolve(tiled(t))
	require.NoError(t, err)
	views, batches = nil, nil
	for i, size := range []image.Point{{60, 40}, {200, 40}, {50, 64}, {400, 500}, {64, 33}, {400, 500}} {
		views = append(views, whole.views(i, size)...)
	}
	for _, p := range passes(views, whole.proposals, 32) {
		batches = append(batches, len(p))
	}
	require.Equal(t, []int{3, 1, 1, 1}, batches, "on a processor those that are padded to one size, if they are small")
	for proposals, want := range map[int]int{500: 16, 5000: 1, 20000: 1} {
		for _, p := range passes(s.views(0, image.Pt(900, 900)), proposals, 32)[:3] {
			require.Len(t, p, want, "of %d proposals", proposals)
		}
	}
}

// tiled is a small configuration with tiles, and defaults filled in.
func tiled(t *testing.T) Config {
	t.Helper()
	c := small()
	c.Input = Input{Scale: 1}
	c, err := c.WithDefaults()
	require.NoError(t, err)
	return c
}

// A scale of the call is that of a model with this Input.Scale.
func TestScaleOfACall(t *testing.T) {
	ctx, img := context.Background(), pattern(120, 80)
	var results []*Result
	for _, in := range []Input{{Short: 40, Longest: 200}, {Scale: 0.75}, {Scale: 2}} {
		c := small()
		c.Input = in
		m, err := New(ctx, c, 1, torch.CPU)
		require.NoError(t, err)
		r, err := m.Segment(ctx, img, Options{Score: -1, Scale: 0.75})
		require.NoError(t, err)
		results = append(results, r)
		_, err = m.Segment(ctx, img, Options{Score: -1, Scale: 0.75, Tile: 64})
		require.NoError(t, err, "a scale of the call allows tiles")
		require.NoError(t, m.Close())
	}
	require.NotEmpty(t, results[0].Instances)
	require.True(t, sameResult(results[0], results[1]))
	require.True(t, sameResult(results[0], results[2]))
}

func TestTilesRefused(t *testing.T) {
	for _, in := range []Input{{Tile: 64}, {Scale: 1, Tile: 16}, {Scale: 1, Tile: 64, Overlap: 64}} {
		c := small()
		c.Input = in
		_, err := c.WithDefaults()
		var e *ConfigError
		require.ErrorAs(t, err, &e, in)
	}
	c := small()
	m, err := New(context.Background(), c, 3, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Segment(context.Background(), image.NewRGBA(image.Rect(0, 0, 100, 100)), Options{Tile: 64})
	var e *OptionError
	require.ErrorAs(t, err, &e)
}
