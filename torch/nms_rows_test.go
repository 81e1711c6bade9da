package torch

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// On a GPU candidates of several views and evaluations are suppressed as NMS does one view's.
func TestNMSRows(t *testing.T) {
	if CUDADevices() == 0 {
		t.Skip("needs a GPU: TestOnAFakeGPU runs it on the fake one")
	}
	g := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		evaluations, views, n, width int
		least                        float64
		apart                        bool
	}{
		{1, 1, 500, 12, 0.1, false}, {3, 2, 60, 7, -1, false}, {4, 3, 50, 9, 0.5, true}, {2, 1, 4, 7, 2, false}, {1, 2, 0, 7, 0, false}, {1, 1, 5000, 7, 0.3, false},
	} {
		inDo(t, func(s *Scope) {
			rows := make([]float32, c.evaluations*c.views*c.n*c.width)
			for r := 0; r < len(rows); r += c.width {
				x, y := float32(g.IntN(300)), float32(g.IntN(300))
				copy(rows[r:], []float32{
					float32(g.IntN(50)) / 50, float32(g.IntN(c.n)), float32(g.IntN(4)), x, y, x + float32(g.IntN(80)), y + float32(g.IntN(80)),
				})
				switch g.IntN(40) {
				case 0:
					rows[r] = float32(math.NaN())
				case 1:
					rows[r+5] = float32(math.NaN())
				case 2:
					rows[r+3] = float32(math.Inf(-1))
				}
			}
			got := Values[int32](From(s, rows, c.evaluations, c.views, c.n, c.width).To(CUDA(0)).NMSRows(c.least, 0.4, c.apart))
			total := c.evaluations * c.n
			require.Len(t, got, c.views*(total+1))
			for v := range c.views {
				var boxes, scores []float32
				var classes, numbers []int64
				for e := range c.evaluations {
					of := rows[(e*c.views+v)*c.n*c.width:][:c.n*c.width]
					for j := range c.n {
						row := of[j*c.width:]
						if !(float64(row[0]) >= c.least) {
							continue
						}
						class := int64(row[2])
						if c.apart {
							class = class*int64(c.evaluations) + int64(e)
						}
						boxes = append(boxes, of[int(row[1])*c.width+3:][:4]...)
						scores, classes, numbers = append(scores, row[0]), append(classes, class), append(numbers, int64(e*c.n+j))
					}
				}
				want := []int32{}
				for _, k := range NMS(boxes, scores, classes, 0.4) {
					want = append(want, int32(numbers[k]))
				}
				of := got[v*(total+1):]
				require.Equal(t, want, of[1:1+of[0]])
			}
		})
	}
	inDo(t, func(s *Scope) {
		for _, shape := range [][]int{{1, 1, MostNMSRows + 1, 7}, {1, 1, 3, 6}, {1, 3, 7}} {
			rows := s.Zeros(Options{Float32, CUDA(0)}, shape...)
			require.Panics(t, func() { rows.NMSRows(0, 0.5, false) }, shape)
		}
		require.Panics(t, func() { s.Zeros(F32(CPU), 1, 1, 3, 7).NMSRows(0, 0.5, false) })
	})
}
