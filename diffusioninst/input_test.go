package diffusioninst

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

func TestInputSize(t *testing.T) {
	for _, test := range []struct {
		in            Input
		width, height int
	}{
		{Input{}, 1000, 800},
		{Input{Short: 50}, 63, 50},
		{Input{Short: 50, Longest: 50}, 50, 40},
		{Input{Scale: 1}, 320, 256},
		{Input{Scale: 1, Longest: 200}, 200, 160},
		{Input{Scale: 1.5}, 480, 384},
		{Input{Scale: 0.25, Longest: 200}, 80, 64},
	} {
		in := test.in.withDefaults()
		require.NoError(t, in.check())
		require.Equal(t, in, in.withDefaults())
		width, height := in.size(320, 256)
		require.Equal(t, [2]int{test.width, test.height}, [2]int{width, height}, "%+v", test.in)
	}
}

func TestInputCheck(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, in := range []Input{
		{Short: maxSide + 1}, {Short: math.MaxInt}, {Short: 9, Longest: 8}, {Scale: nan}, {Scale: 17},
		{Mean: [3]float64{0, nan, 0}}, {Mean: [3]float64{inf, 0, 0}}, {Std: [3]float64{1, 1, nan}}, {Std: [3]float64{inf, 1, 1}},
	} {
		require.Error(t, in.withDefaults().check(), "%+v", in)
	}
}

func TestLoadConfigKeepsThePicturesSize(t *testing.T) {
	c, _, err := LoadConfig(editedConfig(t, "mini_r50s_1step", "MIN_SIZE_TEST: 96", "MIN_SIZE_TEST: 0"))
	require.NoError(t, err)
	in := c.Input.withDefaults()
	require.NoError(t, in.check())
	width, height := in.size(3000, 20)
	require.Equal(t, [2]int{3000, 20}, [2]int{width, height}, "MAX_SIZE_TEST has no effect then")
}

// A scale that gives a picture the size that a shorter side gives it gives the same result,
// and one view of the model's own is Segment's.
func TestScaleIsShortSideForOnePicture(t *testing.T) {
	before := torch.Live()
	ctx, img := context.Background(), pattern(120, 80)
	var results []*Result
	for _, in := range []Input{{Short: 60, Longest: 200}, {Scale: 0.75, Longest: 200}} {
		c := small()
		c.Input = in
		m, err := New(ctx, c, 1, torch.CPU)
		require.NoError(t, err)
		r, err := m.Segment(ctx, img, all)
		require.NoError(t, err)
		require.NotEmpty(t, r.Instances)
		views, err := m.Segment(ctx, img, Options{Score: -1, Augment: Augment{Scales: []int{60, 40}}})
		require.NoError(t, err)
		results = append(results, r, views)
		require.NoError(t, m.Close())
	}
	require.True(t, sameResult(results[0], results[2]))
	require.True(t, sameResult(results[1], results[3]))
	require.Equal(t, before, torch.Live())
}
