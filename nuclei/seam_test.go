//go:build cgo

package nuclei

import (
	"context"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
)

// An object in the middle of a picture, where tiles meet, is found, once, though each tile finds its centre in another place.
func TestObjectsWhereTilesMeet(t *testing.T) {
	m := load(t)
	r := rand.New(rand.NewPCG(5, 5))
	for range 8 {
		side := 20 + 25*r.Float64()
		a, b := side, side*(0.8+0.4*r.Float64())
		cx, cy, bright := 160+r.Float64()-0.5, 160+r.Float64()-0.5, 80+70*r.Float64()
		img := image.NewGray(image.Rect(0, 0, 320, 320))
		for i := range img.Pix {
			x, y := float64(i%320)+0.5, float64(i/320)+0.5
			d := math.Hypot((x-cx)/a, (y-cy)/b)
			v := 12 + bright/(1+math.Exp((d-1)*10)) + 5*r.NormFloat64()
			img.SetGray(i%320, i/320, color.Gray{uint8(min(max(v, 0), 255))})
		}
		found, err := m.Segment(context.Background(), img, diffusioninst.Options{Scales: &diffusioninst.Scales{Factors: []float64{1}}})
		require.NoError(t, err)
		require.Len(t, found.Instances, 1, "%.1f×%.1f pixels at %.2f, %.2f", 2*a, 2*b, cx, cy)
	}
}

// A step's scores are means over the sizes, as the result's are, and only then compared with the least score.
func TestTheOnlyStepIsTheResult(t *testing.T) {
	m := load(t)
	img, _ := simulate.Nuclei(simulate.Options{Width: 160, Height: 128, Count: 12, Seed: 3})
	var step *diffusioninst.Result
	result, err := m.Segment(context.Background(), img, diffusioninst.Options{
		Scales: &diffusioninst.Scales{Factors: []float64{1, 2}}, Score: 0.75, OnStep: func(s *diffusioninst.StepResult) { step = s.Result },
	})
	require.NoError(t, err)
	require.Len(t, step.Instances, len(result.Instances))
	for i, in := range result.Instances {
		require.Equal(t, in.Score, step.Instances[i].Score)
	}
}
