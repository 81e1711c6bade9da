package mask_test

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/imagecheck/hostile"
	"github.com/diffusioninst/go/mask"
)

func TestOverlayOnHostilePictures(t *testing.T) {
	for name, img := range hostile.Pictures() {
		_, err := mask.Overlay(img, nil, mask.OverlayOptions{})
		var bad *mask.ImageError
		require.ErrorAs(t, err, &bad, name)
	}
	var bad *mask.ImageError
	_, err := mask.Overlay(image.NewUniform(color.Black), nil, mask.OverlayOptions{})
	require.ErrorAs(t, err, &bad, "a picture without end")
}

func TestBitmapsSetByHand(t *testing.T) {
	rect := image.Rect(0, 0, 8, 8)
	for name, b := range map[string]*mask.Bitmap{
		"negative":     {Width: -1, Height: 4},
		"no Rect":      {Width: 8, Height: 8, Stride: 1, Words: make([]uint64, 8)},
		"no words":     {Width: 8, Height: 8, Rect: rect, Stride: 1},
		"no stride":    {Width: 8, Height: 8, Rect: rect, Words: make([]uint64, 8)},
		"few words":    {Width: 65, Height: 8, Rect: image.Rect(0, 0, 65, 8), Stride: 2, Words: make([]uint64, 15)},
		"two columns":  {Width: 65, Height: 8, Rect: image.Rect(63, 0, 65, 8), Stride: 1, Words: make([]uint64, 8)},
		"large stride": {Width: 8, Height: 8, Rect: rect, Stride: math.MaxInt, Words: make([]uint64, 8)},
		"outside":      {Width: 8, Height: 8, Rect: rect.Add(image.Pt(1, 0)), Stride: 1, Words: make([]uint64, 8)},
		"before":       {Width: 8, Height: 8, Rect: rect.Sub(image.Pt(0, 1)), Stride: 1, Words: make([]uint64, 8)},
		"large":        {Width: math.MaxInt, Height: math.MaxInt, Rect: image.Rect(0, 0, math.MaxInt, math.MaxInt), Stride: 1, Words: make([]uint64, 8)},
	} {
		require.Error(t, b.Validate(), name)
		if b.Width == 8 {
			_, err := mask.Overlay(canvas(8, 8), []mask.OverlayItem{{Mask: b}}, mask.OverlayOptions{})
			require.ErrorContains(t, err, "item 0", name)
		}
	}
	for _, b := range []*mask.Bitmap{
		{}, mask.NewBitmap(0, 9), mask.NewBitmap(65, 3), {Width: 8, Height: 8},
		{Width: 65, Height: 2, Rect: image.Rect(0, 0, 65, 2), Stride: 3, Words: make([]uint64, 5)},
		{Width: 9000, Height: 9000, Rect: image.Rect(8190, 8, 8193, 10), Stride: 2, Words: make([]uint64, 4)},
	} {
		require.NoError(t, b.Validate())
	}
}
