package diffusioninst

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/torch"
)

// Pictures of one size are packed at once, and as each would be.
func TestPackedPictures(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		r := rand.New(rand.NewPCG(3, 5))
		var pictures []Pixels
		for _, size := range [][2]int{{40, 30}, {40, 30}, {33, 32}, {40, 30}} {
			p := Pixels{make([]uint8, 3*size[0]*size[1]), size[0], size[1]}
			for i := range p.RGB {
				p.RGB[i] = uint8(r.IntN(256))
			}
			pictures = append(pictures, p)
		}
		for _, c := range []Input{{Std: [3]float64{1, 2, 4}}, {Mean: [3]float64{10, 20, 30}, Std: [3]float64{1, 1, 1}, BGR: true}} {
			x := c.Pack(s, pictures, 64, 32, torch.CPU)
			require.Equal(t, []int{4, 3, 32, 64}, x.Shape())
			got := torch.Values[float32](x.Contiguous())
			for b, p := range pictures {
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

func TestPicturesThatCannotBePacked(t *testing.T) {
	c := Input{Std: [3]float64{1, 1, 1}}
	for _, pictures := range [][]Pixels{
		{{make([]uint8, 3*40*30), 40, 30}},                          // larger than the batch
		{{make([]uint8, 11), 2, 2}, {make([]uint8, 13), 2, 2}},      // together as many bytes as they should have
		{{make([]uint8, 12), 2, 2}, {make([]uint8, 3*33*2), 33, 2}}, // the second is larger
	} {
		var bad *torch.Error
		require.ErrorAs(t, torch.Do(t.Context(), func(s *torch.Scope) error {
			c.Pack(s, pictures, 32, 32, torch.CPU)
			return nil
		}), &bad)
		require.Equal(t, "pack", bad.Op)
	}
}

func TestMaskBranchesMergeLevelsThatThereAre(t *testing.T) {
	c := small()
	c.MaskBranch.Levels = 5
	_, err := New(t.Context(), c, 1, torch.CPU)
	var bad *ConfigError
	require.ErrorAs(t, err, &bad)
	require.EqualError(t, err, "diffusioninst: config: the backbone's pyramid has 4 levels, of which the mask branch merges 5")
}
