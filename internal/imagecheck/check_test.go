package imagecheck_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/imagecheck"
	"github.com/diffusioninst/go/internal/imagecheck/hostile"
)

func TestHostilePicturesAreRefused(t *testing.T) {
	for name, img := range hostile.Pictures() {
		if name == "At panics" {
			continue // it is found when the pixels are read
		}
		require.NotPanics(t, func() {
			_, _, err := imagecheck.Check(img)
			require.Error(t, err, name)
		}, name)
	}
}

func TestSoundPicturesPass(t *testing.T) {
	palette := color.Palette{color.Black, color.White}
	for _, r := range []image.Rectangle{image.Rect(0, 0, 5, 3), image.Rect(-7, -5, -2, 4), image.Rect(3, 1, 4, 2), image.Rect(1<<40, -1<<40, 1<<40+3, 5-1<<40)} {
		all := []image.Image{
			image.NewRGBA(r), image.NewNRGBA(r), image.NewRGBA64(r), image.NewNRGBA64(r), image.NewGray(r), image.NewGray16(r),
			image.NewAlpha(r), image.NewAlpha16(r), image.NewCMYK(r), image.NewPaletted(r, palette), image.Rect(0, 0, 1, 1),
		}
		for ratio := image.YCbCrSubsampleRatio444; ratio <= image.YCbCrSubsampleRatio410; ratio++ {
			m := image.NewNYCbCrA(r, ratio)
			if imagecheck.Guard(func() { m.At(r.Max.X-1, r.Max.Y-1) }) == nil { // some with negative coordinates lack their last sample
				all = append(all, &m.YCbCr, m)
			}
		}
		for _, img := range all {
			_, _, err := imagecheck.Check(img)
			require.NoError(t, err, "%T %v", img, r)
			if s, ok := img.(interface {
				SubImage(image.Rectangle) image.Image
			}); ok {
				part := s.SubImage(r.Inset(1))
				_, _, err := imagecheck.Check(part)
				require.NoError(t, err, "part of %T %v", img, r)
			}
		}
	}
	_, _, err := imagecheck.Check(image.NewRGBA(image.Rectangle{}))
	require.NoError(t, err, "no pixels, no planes")
}

// Whatever the fields of a picture are: if it passes, no pixel panics.
func TestWhatPassesCanBeRead(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 8))
	some := func() int {
		return []int{-9, -1, 0, 1, 2, 3, 5, 8, 40, math.MaxInt, math.MinInt, math.MaxInt / 2}[rng.IntN(12)]
	}
	bytes := func() []uint8 { return make([]uint8, rng.IntN(90)) }
	passed := 0
	for range 20000 {
		w, h := 1+rng.IntN(5), 1+rng.IntN(5)
		at := image.Pt(rng.IntN(9)-4, rng.IntN(9)-4)
		r := image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))}
		if rng.IntN(4) == 0 {
			r.Max.X = some()
		}
		chroma := image.YCbCr{Y: bytes(), Cb: bytes(), Cr: bytes(), YStride: some(), CStride: some(), SubsampleRatio: image.YCbCrSubsampleRatio(rng.IntN(7)), Rect: r}
		img := []image.Image{
			&image.RGBA{Pix: bytes(), Stride: some(), Rect: r}, &image.RGBA64{Pix: bytes(), Stride: some(), Rect: r}, &image.Gray16{Pix: bytes(), Stride: some(), Rect: r},
			&image.Paletted{Pix: bytes(), Stride: some(), Rect: r, Palette: make(color.Palette, rng.IntN(2))}, &chroma,
			&image.NYCbCrA{YCbCr: chroma, A: bytes(), AStride: some()},
		}[rng.IntN(6)]
		width, height, err := imagecheck.Check(img)
		if err != nil || width*height == 0 {
			continue
		}
		passed++
		require.NotPanics(t, func() {
			draw.Draw(image.NewRGBA(image.Rect(0, 0, width, height)), image.Rect(0, 0, width, height), img, r.Min, draw.Src)
		}, fmt.Sprintf("%#v", img))
	}
	require.Greater(t, passed, 100)
}
