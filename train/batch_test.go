package train

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/mask"
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
				got, parts := maskTargets(s, w, h, stride), maskCoverage(s, w, h, stride)
				for i, o := range s.Objects {
					for y := range h {
						for x := range w {
							want := o.Mask.Get(x*stride+stride/2, y*stride+stride/2)
							require.Equal(t, want, got[(i*h+y)*w+x] == 1, "object %d at %d, %d", i, x, y)
							covered := 0 // quarters of pixels, around the middle of the pixel above
							for k := range 4 * stride * stride {
								px, py := 2*(x*stride+stride/2)+1-stride+k%(2*stride), 2*(y*stride+stride/2)+1-stride+k/(2*stride)
								if o.Mask.Get(px>>1, py>>1) {
									covered++
								}
							}
							require.InDelta(t, float64(covered)/float64(4*stride*stride), parts[(i*h+y)*w+x], 1e-6, "object %d at %d, %d", i, x, y)
						}
					}
				}
			})
		}
	}
}
