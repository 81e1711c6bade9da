package sampler_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// onHost is a renewal that decides on the host alone.
type onHost struct{ sampler.Renewal }

// The denoiser is told what it estimated last of each proposal that was not renewed. The sampler leaves the state as it is, so
// that a proposal's estimate is half of its own number.
func TestLastEstimates(t *testing.T) {
	scores := [][][]float32{
		{{0, 1, 1}, {1, 0, 0}}, // rows 2 and 3 stay, and 4
		{{0, 1, 0}, {0, 0, 1}}, // row 3, and the last fresh one
		{{1, 1, 1}, {1, 1, 1}},
		{{1, 1, 1}, {1, 1, 1}},
	}
	stays := stub(func(s *sampler.Step) (*torch.Tensor, error) {
		_, err := s.Denoise(s.X.AddScalar(0.25), s.Next)
		return s.X, err
	})
	for name, policy := range map[string]sampler.Renewal{"device": sampler.Threshold(0.5), "host": onHost{sampler.Threshold(0.5)}} {
		for _, wide := range []bool{false, true} {
			inDo(t, func(s *torch.Scope) {
				var known [][]uint8
				inner := 0
				denoise := halves(scores)
				c := sampler.Config{Sampler: stays, Steps: 4, Renewal: policy, Float64: wide}
				_, err := c.Run(context.Background(), s, torch.CPU, []int{2, 3, 4}, counted(), func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
					switch {
					case at.Inner: // in the step all have an estimate, also those that will be renewed
						inner++
						require.Nil(t, at.Known)
						require.Equal(t, firsts(x.AddScalar(-0.25).MulScalar(0.5)), firsts(at.Last))
						require.Equal(t, x.DType(), at.Last.DType())
					case at.Step == 0:
						require.Nil(t, at.Last)
						require.Nil(t, at.Known)
					default:
						require.Equal(t, x.Shape(), at.Last.Shape())
						of := torch.Values[uint8](at.Known)
						known = append(known, of)
						now, last := firsts(x), firsts(at.Last)
						for row, k := range of {
							if k == 1 {
								require.Equal(t, now[row]/2, last[row], "%s: step %d, row %d", name, at.Step, row)
							}
						}
					}
					return denoise(at, x)
				})
				require.NoError(t, err)
				require.Equal(t, 3, inner)
				require.Equal(t, [][]uint8{{1, 1, 0, 1, 0, 0}, {1, 0, 0, 1, 0, 0}, {1, 1, 1, 1, 1, 1}}, known, name)
			})
		}
	}
}

// Without renewal all are known, and nothing is after a restart.
func TestLastEstimatesWithoutRenewal(t *testing.T) {
	for _, sm := range []sampler.Sampler{sampler.DDIM{Eta: 1}, sampler.Restart{}} {
		inDo(t, func(s *torch.Scope) {
			denoise := halves(nil)
			c := sampler.Config{Sampler: sm, Steps: 3, Renewal: sampler.NoRenewal{}}
			_, err := c.Run(context.Background(), s, torch.CPU, []int{1, 2, 4}, counted(), func(at sampler.Moment, x *torch.Tensor) (sampler.Prediction, error) {
				require.Nil(t, at.Known)
				require.Equal(t, at.Step > 0 && sm != sampler.Restart{}, at.Last != nil)
				return denoise(at, x)
			})
			require.NoError(t, err)
		})
	}
}
