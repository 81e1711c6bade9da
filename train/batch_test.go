package train

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

func TestMaskTargetsAreEveryFewPixels(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for _, stride := range []int{1, 2, 3, 4, 8} {
		for _, size := range [][2]int{{1, 1}, {7, 5}, {64, 33}, {130, 66}} {
			t.Run(fmt.Sprint(stride, size), func(t *testing.T) {
				s := data.Sample{Width: size[0], Height: size[1]}
				for range 3 {
					m := mask.NewBitmap(s.Width, s.Height)
					for y := range s.Height {
						for x := range s.Width {
							m.Set(x, y, r.IntN(3) > 0)
						}
					}
					s.Objects = append(s.Objects, data.Object{Mask: m})
				}
				w, h := s.Width/stride+2, s.Height/stride+3 // padded
				got := maskTargets(s, w, h, stride)
				for i, o := range s.Objects {
					for y := range h {
						for x := range w {
							want := o.Mask.Get(x*stride+stride/2, y*stride+stride/2)
							require.Equal(t, want, got[(i*h+y)*w+x] == 1, "object %d at %d, %d", i, x, y)
						}
					}
				}
			})
		}
	}
}

// Pictures of one size are packed at once, and as each would be.
func TestPackedPictures(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		samples := []data.Sample{picture("a", 40, 30, 1), picture("b", 40, 30, 1), picture("c", 33, 32, 1), picture("d", 40, 30, 1)}
		samples[1].RGB[5] = 200
		for _, c := range []diffusioninst.Input{{Std: [3]float64{1, 2, 4}}, {Mean: [3]float64{10, 20, 30}, Std: [3]float64{1, 1, 1}, BGR: true}} {
			x := pack(s, noised{samples: samples, width: 64, height: 32}, c, torch.CPU)
			require.Equal(t, []int64{4, 3, 32, 64}, x.Shape())
			got := torch.Values[float32](x.Contiguous())
			for b, p := range samples {
				for k := range 3 {
					channel := k
					if c.BGR {
						channel = 2 - k
					}
					for y := range 32 {
						for x := range 64 {
							var want float32
							if x < p.Width && y < p.Height {
								want = (float32(p.RGB[3*(y*p.Width+x)+channel]) - float32(c.Mean[k])) / float32(c.Std[k])
							}
							require.Equal(t, want, got[((b*3+k)*32+y)*64+x], "picture %d, channel %d at %d, %d", b, k, x, y)
						}
					}
				}
			}
		}
	})
}
