package diffusioninst

import (
	"context"
	"image"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNeedIsWhatLimitsCompare(t *testing.T) {
	m := smallModel(t)
	size := image.Pt(50, 70)
	need, err := m.Need(Options{}, size)
	require.NoError(t, err)
	require.Equal(t, int64(1), need.Views)
	require.Equal(t, [2]int{64, 96}, [2]int{need.Width, need.Height}, "64×90 pixels, padded to multiples of 32")
	require.Equal(t, int64(64*96), need.Pixels)
	two, err := m.Need(Options{}, size, size)
	require.NoError(t, err)
	require.Equal(t, 2*need.Pixels, two.Pixels)
	tiles, err := m.Need(Options{Scale: 1, Tile: 32}, size)
	require.NoError(t, err)
	require.Greater(t, tiles.Views, int64(1))

	images := []image.Image{pattern(50, 70)}
	_, err = m.SegmentBatch(context.Background(), images, Options{MaxBytes: need.Bytes})
	require.NoError(t, err)
	_, err = m.SegmentBatch(context.Background(), images, Options{MaxBytes: need.Bytes - 1})
	var e *LimitError
	require.ErrorAs(t, err, &e)
	require.Equal(t, need, e.Need)

	_, err = m.Need(Options{}, image.Pt(1, 9))
	require.ErrorAs(t, err, new(*ImageError))
	_, err = m.Need(Options{Score: 2}, size)
	require.ErrorAs(t, err, new(*OptionError))
	_, err = m.Need(Options{})
	require.ErrorContains(t, err, "no picture")
}

// A picture gets the noise of its own seed, whatever is beside it in the batch.
func TestSeedsOfABatch(t *testing.T) {
	m := smallModel(t)
	images := []image.Image{pattern(64, 64), pattern(64, 64), pattern(64, 64)}
	batch, err := m.SegmentBatch(context.Background(), images, Options{Score: -1, Seeds: []uint64{5, 9, 5}})
	require.NoError(t, err)
	require.Equal(t, batch[0], batch[2])
	require.NotEqual(t, batch[0], batch[1])
	inRow, err := m.SegmentBatch(context.Background(), images, Options{Score: -1, Seed: 5})
	require.NoError(t, err)
	require.Equal(t, inRow[0], batch[0])

	_, err = m.SegmentBatch(context.Background(), images, Options{Seeds: []uint64{1}})
	require.ErrorContains(t, err, "1 seeds for 3 pictures")
	_, err = m.SegmentBatch(context.Background(), images, Options{Seed: 1, Seeds: []uint64{1, 2, 3}})
	require.ErrorContains(t, err, "excludes Seed")
}
