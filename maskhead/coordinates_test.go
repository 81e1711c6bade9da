package maskhead

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// logit is the head as its definition has it: a predicted filter, a pixel's features and its place in a box.
func logit(h Head, predicted, features []float64, x, y float64) float64 {
	h = h.withDefaults()
	n, _ := h.Predicted()
	first := h.outputs(0)
	input, weight, bias := features, 0, h.biases()
	for l := range h.Layers {
		outputs := h.Channels
		if l == h.Layers-1 {
			outputs = 1
		}
		next := make([]float64, outputs)
		for o := range next {
			v := predicted[bias+o]
			for c, f := range input {
				v += predicted[weight+o*h.Channels+c] * f
			}
			if l == 0 {
				v += predicted[n+o]*x + predicted[n+first+o]*y
			}
			if l < h.Layers-1 {
				v = max(v, 0)
			}
			next[o] = v
		}
		input, weight, bias = next, weight+outputs*h.Channels, bias+outputs
	}
	return input[0]
}

// Placed filters on features with places give the logits, and the gradients, of relative coordinates by definition.
func TestRelativeCoordinates(t *testing.T) {
	const height, width, stride, n = 5, 7, 4, 3
	// In pixels of the network's input; the last is narrower than a feature's pixel.
	boxes := [][4]float64{{2, 3, 14.5, 12}, {-4, 0, 30, 20}, {10, 10, 10, 18}}
	for _, h := range []Head{{Coordinates: true}, {Coordinates: true, Channels: 3, Layers: 2}, {Coordinates: true, Channels: 2, Layers: 1}} {
		modeltest.Do(t, func(s *torch.Scope) {
			filter, coordinates := h.Predicted()
			channels := h.withDefaults().Channels
			r := rand.New(rand.NewPCG(1, uint64(filter)))
			normal := func(n int) []float64 {
				out := make([]float64, n)
				for i := range out {
					out[i] = r.NormFloat64()
				}
				return out
			}
			features, predicted := normal(channels*height*width), normal(n*(filter+coordinates))
			grow := normal(n * height * width)
			store := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{})
			defer store.Close()
			place := NewPlacement(store.Root(), h, stride)
			var logits, gradient []float64
			torch.WithGrad(func() {
				p := torch.From(s, predicted, 1, n, filter+coordinates).SetRequiresGrad(true)
				var corners []float64
				for _, b := range boxes {
					corners = append(corners, b[:]...)
				}
				placed := place.Of(p, torch.From(s, corners, 1, n, 4)).Select(0, 0)
				require.Equal(t, []int{n, h.Params()}, placed.Shape())
				x := withPlaces(torch.From(s, features, 1, channels, height, width)).Select(0, 0)
				out := h.Logits(x, placed)
				out.Mul(torch.From(s, grow, n, height, width)).Sum().Backward()
				logits, gradient = torch.Values[float64](out.Detach()), torch.Values[float64](p.Grad(s))
			})
			sum := func(predicted []float64, check bool) (total float64) {
				for i, b := range boxes {
					own := predicted[i*(filter+coordinates):][:filter+coordinates]
					for y := range height {
						for x := range width {
							f := make([]float64, channels)
							for c := range f {
								f[c] = features[(c*height+y)*width+x]
							}
							// The box has at least a side of a feature's pixel.
							rx := (float64(x) + 0.5 - (b[0]+b[2])/2/stride) / max((b[2]-b[0])/2/stride, 0.5)
							ry := (float64(y) + 0.5 - (b[1]+b[3])/2/stride) / max((b[3]-b[1])/2/stride, 0.5)
							v, at := logit(h, own, f, rx, ry), (i*height+y)*width+x
							if check {
								require.InDelta(t, v, logits[at], 1e-10)
							}
							total += v * grow[at]
						}
					}
				}
				return total
			}
			sum(predicted, true)
			const step = 1e-6
			for k := range predicted {
				moved := append([]float64{}, predicted...)
				moved[k] += step
				up := sum(moved, false)
				moved[k] -= 2 * step
				require.InDelta(t, (up-sum(moved, false))/(2*step), gradient[k], 2e-4, "number %d", k)
			}
		})
	}
}

func TestNumbersOfRelativeCoordinates(t *testing.T) {
	filter, coordinates := Head{Coordinates: true}.Predicted()
	require.Equal(t, []int{153, 16, 231}, []int{filter, coordinates, Head{Coordinates: true}.Params()})
	filter, coordinates = Head{}.Predicted()
	require.Equal(t, []int{153, 0}, []int{filter, coordinates})
}
