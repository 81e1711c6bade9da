package diffusioninst

import (
	"context"
	"image"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/imagecheck/hostile"
)

func TestHostilePicturesAreImageErrors(t *testing.T) {
	m := smallModel(t)
	for name, img := range hostile.Pictures() {
		for how, o := range map[string]Options{
			"plain": all, "tiles": {Score: -1, Scale: 8, Tile: 32}, "views": {Score: -1, Augment: Augment{Scales: []int{32, 48}, Flip: true}},
		} {
			var bad *ImageError
			_, err := m.Segment(context.Background(), img, o)
			require.ErrorAs(t, err, &bad, "%s, %s", name, how)
			require.NotContains(t, err.Error(), "picture 0", "there is only one")
			require.NotContains(t, err.Error(), "4×4", "the picture is named, not its tile")

			_, err = m.SegmentBatch(context.Background(), []image.Image{pattern(9, 9), pattern(64, 20), img}, o)
			require.ErrorAs(t, err, &bad, "%s, %s", name, how)
			require.ErrorContains(t, err, "diffusioninst: picture 2: ", "%s, %s", name, how)
		}
	}
}

// shrinking is a picture whose parts are not what was asked for.
type shrinking struct{ *image.RGBA }

func (s shrinking) SubImage(image.Rectangle) image.Image {
	return s.RGBA.SubImage(image.Rect(0, 0, 3, 3))
}

func TestPartsOfAnotherSizeAreCopied(t *testing.T) {
	m := smallModel(t)
	img, o := pattern(40, 30), Options{Score: -1, Scale: 2, Tile: 32}
	want, err := m.Segment(context.Background(), img, o)
	require.NoError(t, err)
	got, err := m.Segment(context.Background(), shrinking{img}, o)
	require.NoError(t, err)
	require.Equal(t, want, got)
}
