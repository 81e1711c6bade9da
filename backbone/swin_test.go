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

// smallSwin has blocks of both kinds in each stage.
var smallSwin = Swin{EmbedDim: 8, Depths: [4]int{2, 2, 2, 2}, Heads: [4]int{1, 2, 4, 2}, Window: 4}

// The numbers of parameters of the published classifiers, less their last norm and
// linear layer, plus the norms of four stages.
func TestSwinSizesHaveThePublishedNumberOfParameters(t *testing.T) {
	for size, classifier := range map[string]int{"T": 28288354, "S": 49606258, "B": 87768224, "L": 196532476} {
		t.Run(size, func(t *testing.T) {
			if testing.Short() && size == "L" {
				t.Skip("800 MB of parameters")
			}
			modeltest.Do(t, func(s *torch.Scope) {
				store := nn.NewStore(zeros{}, nn.StoreOptions{Inference: true})
				defer store.Close()
				net, err := newSwin(store.Root(), Swin{Size: size})
				require.NoError(t, err)
				widths := net.channels()
				last := widths[3]
				want := classifier - (1000*last + 1000) - 2*last
				for _, w := range widths {
					want += 2 * w
				}
				require.EqualValues(t, want, store.Bytes()/4)
			})
		})
	}
}

func TestSwinOfSize(t *testing.T) {
	for name, want := range map[string]struct{ width, window int }{
		"T": {96, 7}, "S": {96, 7}, "B": {128, 7}, "L": {192, 7}, "B-22k": {128, 7}, "L-22k": {192, 7}, "B-22k-384": {128, 12}, "L-22k-384": {192, 12},
	} {
		c, err := SwinOfSize(name)
		require.NoError(t, err)
		require.Equal(t, name, c.Size)
		require.Equal(t, want.width, c.EmbedDim)
		require.Equal(t, want.window, c.Window)
		for i, heads := range c.Heads {
			require.Equal(t, 32, c.EmbedDim<<i/heads, "channels of a head")
		}
	}
	_, err := SwinOfSize("XL")
	require.ErrorContains(t, err, `size "XL": want one of B, B-22k, B-22k-384, L,`)
}

func TestSwinDefaultsAreT(t *testing.T) {
	c, err := Swin{Window: 12, DropRate: -1}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, Swin{Size: "T", EmbedDim: 96, Depths: [4]int{2, 2, 6, 2}, Heads: [4]int{3, 6, 12, 24}, Window: 12, MLPRatio: 4}, c)
}

func TestSwinRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []Swin{
		{Size: "XL"}, {EmbedDim: -96}, {EmbedDim: 100}, {Depths: [4]int{2, 2, -1, 2}}, {Heads: [4]int{3, 6, 12, 7}},
		{Window: -7}, {DropRate: 1}, {DropRate: math.NaN()}, {MLPRatio: -1}, {MLPRatio: math.NaN()}, {MLPRatio: math.Inf(1)},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			modeltest.Do(t, func(s *torch.Scope) {
				store := nn.NewStore(zeros{}, nn.StoreOptions{})
				defer store.Close()
				_, err := SwinFPN{Swin: c}.Build(store.Root())
				require.ErrorContains(t, err, "backbone: Swin Transformer")
			})
		})
	}
}

// For inference a block works on a few rows of windows at once, otherwise on all.
func TestSwinInPiecesEqualsSwinAsAWhole(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		x := s.Randn(torch.NewGenerator(1), torch.Float32, 2, 3, 104, 210)
		all := map[bool][]*torch.Tensor{}
		for _, inference := range []bool{true, false} {
			store := nn.NewStore(scattered(1), nn.StoreOptions{Inference: inference})
			defer store.Close()
			net, err := newSwin(store.Root(), smallSwin)
			require.NoError(t, err)
			for _, b := range net.stages[0].blocks {
				b.piece = 2 * 56 * 4 * 8
				_, step := b.pieces(net.embed(x), axis{26, 4, b.shift}, axis{53, 4, b.shift})
				require.Equal(t, 2, step, "of seven rows of windows")
			}
			all[inference] = net.features(x)
		}
		for i, shape := range [][]int{{2, 8, 26, 53}, {2, 16, 13, 27}, {2, 32, 7, 14}, {2, 64, 4, 7}} {
			require.Equal(t, shape, all[true][i].Shape())
			require.Less(t, distance(all[true][i], all[false][i]), 1e-5)
		}
	})
}

func TestSwinOfABatchIsSwinOfEach(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		store := nn.NewStore(scattered(1), nn.StoreOptions{Inference: true})
		defer store.Close()
		net, err := newSwin(store.Root(), smallSwin)
		require.NoError(t, err)
		x := s.Randn(torch.NewGenerator(1), torch.Float32, 3, 3, 52, 70)
		before := x.Clone()
		together := net.features(x)
		require.Zero(t, x.Sub(before).Norm().Item(), "the input stays")
		for b := range 3 {
			for i, alone := range net.features(x.Narrow(0, b, 1)) {
				require.True(t, alone.IsChannelsLast())
				require.Less(t, distance(together[i].Narrow(0, b, 1), alone), 1e-5)
			}
		}
	})
}

// The slope of the output along a random direction of all parameters, by gradients
// and by differences.
func TestSwinGradients(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		store := nn.NewStore(scattered(2), nn.StoreOptions{DType: torch.Float64})
		defer store.Close()
		c := smallSwin
		c.DropRate = -1
		net, err := newSwin(store.Root(), c)
		require.NoError(t, err)
		g := torch.NewGenerator(5)
		x := s.Randn(g, torch.Float64, 1, 3, 46, 38)
		value := func() *torch.Tensor {
			sum := s.Zeros(torch.Options{DType: torch.Float64})
			for i, f := range net.features(x) {
				sum = sum.Add(f.Mul(s.Randn(torch.NewGenerator(uint64(i)), torch.Float64, f.Shape()...)).Sum())
			}
			return sum
		}
		torch.WithGrad(func() { value().Backward() })
		slope, steps := 0.0, map[string]*torch.Tensor{}
		for _, p := range store.Parameters() {
			gradient := p.Tensor.Grad(s)
			require.NotNil(t, gradient, p.Name)
			require.Greater(t, gradient.Norm().Item(), 0.0, p.Name)
			steps[p.Name] = s.Randn(g, torch.Float64, p.Tensor.Shape()...)
			slope += gradient.Mul(steps[p.Name]).Sum().Item()
			p.Tensor.ClearGrad()
		}
		const h = 1e-5
		at := func(h float64) float64 {
			for _, p := range store.Parameters() {
				p.Tensor.AddScaledInPlace(steps[p.Name], h)
			}
			return value().Item()
		}
		up := at(h)
		down := at(-2 * h)
		require.InEpsilon(t, (up-down)/(2*h), slope, 1e-5)
	})
}

func TestStochasticDepth(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		store := nn.NewStore(scattered(1), nn.StoreOptions{})
		defer store.Close()
		c := smallSwin
		c.DropRate = 0.5
		built, err := SwinFPN{Swin: c, Channels: 16}.Build(store.Root())
		require.NoError(t, err)
		net, ok := built.(Stochastic)
		require.True(t, ok)
		x := s.Randn(torch.NewGenerator(1), torch.Float32, 2, 3, 64, 64)
		plain, again := built.Forward(x)[3], built.Forward(x)[3]
		require.Zero(t, distance(again, plain), "nothing is left out without gradients")
		torch.WithGrad(func() {
			net.Reseed(1)
			first, second := built.Forward(x)[3], built.Forward(x)[3]
			net.Reseed(1)
			repeated := built.Forward(x)[3]
			require.Zero(t, distance(repeated.Detach(), first.Detach()), "the same seed gives the same")
			require.Greater(t, distance(second.Detach(), first.Detach()), 1e-3)
			require.Greater(t, distance(first.Detach(), plain), 1e-3)

			state := net.RandomState()
			first = built.Forward(x)[3]
			require.NoError(t, net.SetRandomState(state))
			require.Error(t, net.SetRandomState(state[1:]))
			require.Error(t, net.SetRandomState(nil))
			require.Zero(t, distance(built.Forward(x)[3].Detach(), first.Detach()), "a state continues")
		})
	})
}

func TestStochasticDepthKeepsTheMean(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		const n, drop = 10000, 0.3
		b := &swinBlock{blockOptions: blockOptions{drop: drop, random: newDepthRandom()}}
		ones := s.Full(1, torch.F32(torch.CPU), n, 2, 1)
		require.Same(t, ones, b.maybe(ones), "without gradients")
		got := torch.Values[float64](b.maybe(ones.SetRequiresGrad(true)).Detach())
		kept := 0.0
		for i := range n {
			require.Equal(t, got[2*i], got[2*i+1], "an image is left out as a whole")
			if got[2*i] != 0 {
				require.InDelta(t, 1/(1-drop), got[2*i], 1e-6)
				kept++
			}
		}
		require.InDelta(t, 1-drop, kept/n, 3*math.Sqrt(drop*(1-drop)/n))
	})
}

func TestSwinDropsMoreInLaterBlocks(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		store := nn.NewStore(zeros{}, nn.StoreOptions{})
		defer store.Close()
		net, err := newSwin(store.Root(), Swin{})
		require.NoError(t, err)
		var got []float64
		for _, stage := range net.stages {
			for _, b := range stage.blocks {
				got = append(got, b.drop)
			}
		}
		require.Len(t, got, 12)
		for i, drop := range got {
			require.InDelta(t, 0.2*float64(i)/11, drop, 1e-12)
		}
	})
}
