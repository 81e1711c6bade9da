package backbone

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// reference is a Swin Transformer by the definition, for one picture in float64:
// it visits every pair of tokens and asks whether they may see each other. It cuts
// no windows out and rolls nothing.
type reference struct {
	config Swin
	values map[string][]float64
}

// tokens is a map of H×W vectors.
type tokens struct {
	h, w int
	at   [][]float64
}

func (r *reference) parameter(format string, args ...any) []float64 {
	name := fmt.Sprintf(format, args...)
	v, ok := r.values[name]
	if !ok {
		panic("no parameter " + name)
	}
	return v
}

// linear is W·x + b; without bias where the module has none.
func (r *reference) linear(module string, x []float64) []float64 {
	weight, bias := r.parameter("%s.weight", module), r.values[module+".bias"]
	out := make([]float64, len(weight)/len(x))
	for o := range out {
		for i, v := range x {
			out[o] += weight[o*len(x)+i] * v
		}
		if bias != nil {
			out[o] += bias[o]
		}
	}
	return out
}

func (r *reference) norm(module string, x []float64) []float64 {
	weight, bias := r.parameter("%s.weight", module), r.parameter("%s.bias", module)
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v-mean)/math.Sqrt(variance+1e-5)*weight[i] + bias[i]
	}
	return out
}

// forward maps a picture (3,h,w) to the normed output of every stage.
func (r *reference) forward(picture []float64, h, w int) []tokens {
	x := tokens{h: (h + 3) / 4, w: (w + 3) / 4}
	for ty := range x.h {
		for tx := range x.w {
			var patch []float64
			for c := range 3 {
				for y := 4 * ty; y < 4*ty+4; y++ {
					for px := 4 * tx; px < 4*tx+4; px++ {
						if y < h && px < w {
							patch = append(patch, picture[(c*h+y)*w+px])
						} else {
							patch = append(patch, 0)
						}
					}
				}
			}
			x.at = append(x.at, r.norm("patch_embed.norm", r.linear("patch_embed.proj", patch)))
		}
	}
	var out []tokens
	for i := range 4 {
		for j := range r.config.Depths[i] {
			x = r.block(fmt.Sprintf("layers.%d.blocks.%d", i, j), x, r.config.Heads[i], j%2*(r.config.Window/2))
		}
		level := tokens{h: x.h, w: x.w}
		for _, v := range x.at {
			level.at = append(level.at, r.norm(fmt.Sprintf("norm%d", i), v))
		}
		out = append(out, level)
		if i < 3 {
			x = r.merge(fmt.Sprintf("layers.%d.downsample", i), x)
		}
	}
	return out
}

func (r *reference) merge(module string, x tokens) tokens {
	out := tokens{h: (x.h + 1) / 2, w: (x.w + 1) / 2}
	for y := range out.h {
		for col := range out.w {
			var four []float64
			for _, at := range [][2]int{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
				ty, tx := 2*y+at[0], 2*col+at[1]
				if ty < x.h && tx < x.w {
					four = append(four, x.at[ty*x.w+tx]...)
				} else {
					four = append(four, make([]float64, len(x.at[0]))...)
				}
			}
			out.at = append(out.at, r.linear(module+".reduction", r.norm(module+".norm", four)))
		}
	}
	return out
}

// block lets each token see the tokens of its window, of the same picture edge only.
// Padding below and on the right consists of zero tokens that are seen too.
func (r *reference) block(module string, x tokens, heads, shift int) tokens {
	window, width := r.config.Window, len(x.at[0])
	d := width / heads
	table := r.parameter("%s.attn.relative_position_bias_table", module)
	high, wide := (x.h+window-1)/window*window, (x.w+window-1)/window*window
	qkv := make([][]float64, high*wide)
	for y := range high {
		for col := range wide {
			v := make([]float64, width)
			if y < x.h && col < x.w {
				v = r.norm(module+".norm1", x.at[y*x.w+col])
			}
			qkv[y*wide+col] = r.linear(module+".attn.qkv", v)
		}
	}
	out := tokens{h: x.h, w: x.w}
	for y := range x.h {
		for col := range x.w {
			attended := make([]float64, width)
			for head := range heads {
				var weights []float64
				var seen [][]float64
				for ky := range high {
					for kx := range wide {
						dy, sameY := relative(y, ky, high, window, shift)
						dx, sameX := relative(col, kx, wide, window, shift)
						if !sameY || !sameX {
							continue
						}
						logit := 0.0
						for c := range d {
							logit += qkv[y*wide+col][head*d+c] * qkv[ky*wide+kx][width+head*d+c] / math.Sqrt(float64(d))
						}
						logit += table[((dy+window-1)*(2*window-1)+dx+window-1)*heads+head]
						weights = append(weights, math.Exp(logit))
						seen = append(seen, qkv[ky*wide+kx][2*width+head*d:][:d])
					}
				}
				sum := 0.0
				for _, e := range weights {
					sum += e
				}
				for i, e := range weights {
					for c := range d {
						attended[head*d+c] += e / sum * seen[i][c]
					}
				}
			}
			v := add(x.at[y*x.w+col], r.linear(module+".attn.proj", attended))
			hidden := r.linear(module+".mlp.fc1", r.norm(module+".norm2", v))
			for i, h := range hidden {
				hidden[i] = h / 2 * (1 + math.Erf(h/math.Sqrt2))
			}
			out.at = append(out.at, add(v, r.linear(module+".mlp.fc2", hidden)))
		}
	}
	return out
}

// relative is the distance of two tokens along one axis and whether they share a
// window: windows begin at shift, and what is before it has one of its own.
func relative(query, key, length, window, shift int) (int, bool) {
	number := func(i int) int { return int(math.Floor(float64(i-shift) / float64(window))) }
	return query - key, number(query) == number(key)
}

func add(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + b[i]
	}
	return out
}

func TestSwinEqualsAttentionOverPairsOfTokens(t *testing.T) {
	small := Swin{EmbedDim: 8, Depths: [4]int{2, 2, 2, 2}, Heads: [4]int{1, 2, 4, 2}, Window: 7}
	even, wide := small, small
	even.Window, wide.Window = 4, 12
	for _, c := range []struct {
		name   string
		config Swin
		h, w   int
	}{
		{"whole windows", small, 56, 28},
		{"one token beyond", small, 32, 60},
		{"two and three tokens beyond", small, 36, 40},
		{"one pixel beyond", small, 29, 57},
		{"two and three pixels beyond", small, 30, 31},
		{"smaller than a window", small, 12, 20},
		{"smaller than the shift", small, 4, 33},
		{"window 4", even, 33, 46},
		{"window 12", wide, 49, 61},
	} {
		t.Run(c.name, func(t *testing.T) {
			modeltest.Do(t, func(s *torch.Scope) {
				store := nn.NewStore(scattered(7), nn.StoreOptions{Inference: true})
				defer store.Close()
				net, err := newSwin(store.Root(), c.config)
				require.NoError(t, err)
				r := &reference{config: c.config, values: map[string][]float64{}}
				for _, p := range store.Parameters() {
					r.values[p.Name] = torch.Values[float64](p.Tensor)
				}
				x := s.Randn(torch.NewGenerator(3), torch.Float32, 1, 3, c.h, c.w)
				want := r.forward(torch.Values[float64](x), c.h, c.w)
				for i, got := range net.features(x) {
					var flat []float64
					for _, v := range want[i].at {
						flat = append(flat, v...)
					}
					expected := torch.From(s, flat, 1, want[i].h, want[i].w, c.config.EmbedDim<<i).Permute(0, 3, 1, 2)
					require.Equal(t, expected.Shape(), got.Shape())
					require.Less(t, distance(got, expected), 1e-4, "stage %d", i)
				}
			})
		})
	}
}
