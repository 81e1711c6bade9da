package data

import (
	"image"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
)

func TestSamplesThatCannotBeTrainedOn(t *testing.T) {
	nan := float32(math.NaN())
	box := mask.Box{X2: 2, Y2: 2}
	object := func(o Object) Sample {
		return Sample{ID: "x", Width: 2, Height: 2, RGB: make([]uint8, 12), Objects: []Object{o}}
	}
	for name, s := range map[string]Sample{
		"no pixels":       {ID: "x"},
		"short":           {ID: "x", Width: 2, Height: 2, RGB: make([]uint8, 11)},
		"overflow":        {ID: "x", Width: 1 << 32, Height: 1 << 32},
		"wide overflow":   {ID: "x", Width: math.MaxInt, Height: math.MaxInt, RGB: make([]uint8, 12)},
		"negative":        {ID: "x", Width: -2, Height: -2, RGB: make([]uint8, 12)},
		"no mask":         object(Object{Box: box}),
		"no words":        object(Object{Box: box, Mask: &mask.Bitmap{Width: 2, Height: 2, Rect: image.Rect(0, 0, 2, 2)}}),
		"a NaN in a box":  object(Object{Box: mask.Box{X1: nan, X2: 2, Y2: 2}, Mask: mask.NewBitmap(2, 2)}),
		"a box of a line": object(Object{Box: mask.Box{X2: 2}, Mask: mask.NewBitmap(2, 2)}),
		"a box outside":   object(Object{Box: mask.Box{X1: 2, X2: 4, Y2: 2}, Mask: mask.NewBitmap(2, 2)}),
		"a class":         object(Object{Class: 1, Box: box, Mask: mask.NewBitmap(2, 2)}),
	} {
		var bad *SampleError
		require.ErrorAs(t, s.Check(1), &bad, name)
		require.Equal(t, "x", bad.ID)
	}
	require.NoError(t, object(Object{Box: box, Mask: mask.NewBitmap(2, 2)}).Check(1))
}
