package maskhead

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
)

// plainQuality is Quality by its definition, from the logits of one filter.
func plainQuality(logits []float32, height, width int, box mask.Box, stride int) float64 {
	at := float64(stride)
	inside := func(i int, low, high float32) bool {
		return i >= int(math.Floor(float64(low)/at-0.5)) && i < int(math.Ceil(float64(high)/at+0.5))
	}
	var count, inMask, inBox float64
	around := mask.Box{X1: math.MaxFloat32, Y1: math.MaxFloat32}
	for y := range height {
		for x := range width {
			if !inside(x, box.X1, box.X2) || !inside(y, box.Y1, box.Y2) {
				continue
			}
			p := 1 / (1 + math.Exp(-float64(logits[y*width+x])))
			inBox += p
			if p <= 0.5 {
				continue
			}
			count++
			inMask += p
			around.X1, around.Y1 = min(around.X1, float32(x*stride)), min(around.Y1, float32(y*stride))
			around.X2, around.Y2 = max(around.X2, float32((x+1)*stride)), max(around.Y2, float32((y+1)*stride))
		}
	}
	if count == 0 {
		return 0
	}
	return inMask / count * inMask / inBox * float64(around.IoU(box))
}

func TestQuality(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		g := torch.NewGenerator(3)
		const n, height, width, stride = 40, 13, 21, 4
		head := Head{}
		features := s.Randn(g, torch.Float32, 8, height, width)
		filters := s.Randn(g, torch.Float32, n, head.Params())
		places := torch.Values[float32](s.Rand(g, torch.Float32, n, 4))
		boxes := make([]mask.Box, n)
		for i := range boxes {
			p := places[4*i:]
			boxes[i] = mask.Box{X1: p[0] * 60, Y1: p[1] * 40, X2: p[0]*60 + p[2]*30, Y2: p[1]*40 + p[3]*20}
		}
		boxes[0] = mask.Box{X1: -50, Y1: -50, X2: 500, Y2: 500}
		boxes[1] = mask.Box{X1: 300, Y1: 300, X2: 310, Y2: 310} // outside: nothing of a mask
		logits := torch.Values[float32](head.Logits(features, filters))
		for _, device := range modeltest.Devices() {
			got := head.Quality(features.To(device), filters.To(device), boxes, stride)
			require.Len(t, got, n)
			different := map[float64]bool{}
			for i, box := range boxes {
				want := plainQuality(logits[i*height*width:(i+1)*height*width], height, width, box, stride)
				require.InDelta(t, want, got[i], 1e-5, "%d on %v", i, device)
				different[want] = true
			}
			require.Zero(t, got[1])
			require.Greater(t, len(different), n/2)
		}
		require.Empty(t, head.Quality(features, filters.Narrow(0, 0, 0), nil, stride))
	})
}

// Filters that do not fit into memory at once give what each of them gives.
func TestQualityInParts(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		g := torch.NewGenerator(4)
		const n, side = 9, 1024 // 4 MiB each
		features := s.Randn(g, torch.Float32, 8, side, side)
		filters := s.Randn(g, torch.Float32, n, Head{}.Params())
		boxes := make([]mask.Box, n)
		for i := range boxes {
			boxes[i] = mask.Box{X1: float32(i), X2: float32(100 * (i + 1)), Y2: 200}
		}
		all := Head{}.Quality(features, filters, boxes, 4)
		for i := range boxes {
			require.InDelta(t, Head{}.Quality(features, filters.Narrow(0, i, 1), boxes[i:i+1], 4)[0], all[i], 1e-6)
		}
	})
}
