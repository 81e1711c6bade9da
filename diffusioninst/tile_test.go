package diffusioninst

import (
	"context"
	"image"
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
				require.Equal(t, before.coreTo, s.coreAt)
				// What lies in the core with half an overlap around it lies in the tile.
				require.LessOrEqual(t, float32(s.from+c.overlap/2), s.coreAt)
			}
		}
		for v := -5; v < c.length+5; v++ {
			n := 0
			for _, s := range all {
				if s.answers(float32(v)) {
					n++
				}
			}
			require.Equal(t, 1, n, "one tile answers for %d", v)
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
			if !x.answers(cx) || !y.answers(cy) {
				continue
			}
			for _, p := range r.Instances {
				place := image.Rect(x.from, y.from, x.to, y.to)
				matched = matched || p.Score == in.Score && p.Mask.Equal(in.Mask.Crop(place)) && p.Area() == in.Area()
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

func TestTilesRefused(t *testing.T) {
	for _, in := range []Input{{Tile: 64}, {Scale: 1, Tile: 16}, {Scale: 1, Tile: -1}, {Scale: 1, Tile: 64, Overlap: 64}, {Scale: 1, Overlap: -1}} {
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
