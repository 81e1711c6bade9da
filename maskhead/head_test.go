package maskhead

import (
	"image"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func geometry(stride, inputW, inputH, outputW, outputH int, threshold float64) torch.MaskGeometry {
	return torch.MaskGeometry{
		Stride: stride, InputW: inputW, InputH: inputH, OutputW: outputW, OutputH: outputH, Threshold: threshold,
	}
}

func TestFusedMasksAgainstComposed(t *testing.T) {
	for name, c := range map[string]struct {
		head Head
		h, w int
		p    torch.MaskGeometry
	}{
		"enlarged":        {Head{}, 24, 40, geometry(4, 150, 90, 233, 140, 0.5)},
		"shrunk":          {Head{}, 24, 40, geometry(4, 160, 96, 71, 33, 0.5)},
		"same size":       {Head{}, 8, 8, geometry(4, 32, 32, 32, 32, 0.4)},
		"one pixel":       {Head{}, 8, 8, geometry(4, 1, 1, 1, 1, 0.5)},
		"a line":          {Head{}, 8, 16, geometry(4, 64, 1, 700, 2, 0.5)},
		"two layers":      {Head{Channels: 5, Layers: 2}, 12, 12, geometry(4, 40, 48, 60, 70, 0.5)},
		"one layer":       {Head{Channels: 3, Layers: 1}, 12, 12, geometry(4, 40, 48, 60, 70, 0.5)},
		"stride of eight": {Head{}, 12, 12, geometry(8, 90, 96, 60, 70, 0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			modeltest.Do(t, func(s *torch.Scope) {
				g := torch.NewGenerator(1)
				const n = 60
				channels := c.head.withDefaults().Channels
				features := s.Randn(g, torch.Float32, channels, c.h, c.w)
				filters := s.Randn(g, torch.Float32, n, c.head.Params())
				boxes := make([]image.Rectangle, n)
				x := torch.Values[int64](s.Randint(g, 0, int64(c.p.OutputW)+1, n, 2))
				y := torch.Values[int64](s.Randint(g, 0, int64(c.p.OutputH)+1, n, 2))
				for i := range boxes {
					boxes[i] = image.Rect(int(x[2*i]), int(y[2*i]), int(x[2*i+1]), int(y[2*i+1]))
				}
				want := make([]*mask.Bitmap, n)
				for i := range want {
					want[i] = mask.NewBitmap(c.p.OutputW, c.p.OutputH)
				}
				c.head.composed(features, filters, boxes, c.p, want)
				for _, device := range modeltest.Devices() {
					got := c.head.Masks(features.To(device), filters.To(device), boxes, c.p)
					differ, pixels, set := 0, 0, 0
					for i := range want {
						set += want[i].Area()
						pixels += boxes[i].Dx() * boxes[i].Dy()
						for y := range c.p.OutputH {
							for x := range c.p.OutputW {
								if got[i].Get(x, y) != want[i].Get(x, y) {
									differ++
								}
							}
						}
					}
					require.LessOrEqual(t, differ, pixels/10000, "%v: rounding may flip a pixel in 10,000", device)
					if pixels > 10000 {
						require.Greater(t, set, pixels/10, "masks are not empty")
						require.Less(t, set, pixels*9/10, "masks are not full")
					}
				}
			})
		})
	}
}

func TestParamsOfThePaper(t *testing.T) { require.Equal(t, 153, Head{}.Params()) }

func TestMasksRefuseFiltersThatDoNotFit(t *testing.T) {
	for want, shape := range map[string][]int{"100 parameters does not fit 3 layers": {1, 100}, "one box and mask per filter set": {2, 153}} {
		err := torch.Do(t.Context(), func(s *torch.Scope) error {
			Head{}.Masks(s.Zeros(torch.F32(torch.CPU), 8, 4, 4), s.Zeros(torch.F32(torch.CPU), shape...), make([]image.Rectangle, 1), geometry(4, 16, 16, 16, 16, 0.5))
			return nil
		})
		require.ErrorContains(t, err, want)
	}
}

func TestMasksOfBoxesBeyondThePicture(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		h := Head{Channels: 1, Layers: 1}
		features := s.Zeros(torch.F32(torch.CPU), 1, 4, 4)
		filters := torch.From(s, []float32{1, 1, 1, 1, 1, 1}, 3, 2) // everything is in the mask
		out := h.Masks(features, filters, []image.Rectangle{image.Rect(-8, 4, 99, 99), image.Rect(2, 2, 5, 5), image.Rect(20, 20, 30, 30)}, geometry(4, 16, 16, 16, 16, 0.5))
		require.Equal(t, image.Rect(0, 4, 16, 16), out[0].Box())
		require.Equal(t, 16*12, out[0].Area())
		require.Equal(t, 9, out[1].Area())
		require.Zero(t, out[2].Area())
	})
}

func TestBranchesRefuseSmallerPyramids(t *testing.T) {
	err := torch.Do(t.Context(), func(s *torch.Scope) error {
		store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{Inference: true})
		defer store.Close()
		b, err := NewBranch(store.Root(), 8, BranchConfig{Width: 8})
		require.NoError(t, err)
		b.Forward([]*torch.Tensor{s.Zeros(torch.F32(torch.CPU), 1, 8, 4, 4)})
		return nil
	})
	require.EqualError(t, err, "torch: mask_branch: a pyramid of 1 levels, of which 3 are to be merged")
}
