package backbone

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// resNetShapes lists the parameters of a ResNet of standard width by hand: name to shape.
func resNetShapes(depth int) map[string][]int {
	out := map[string][]int{}
	conv := func(name string, from, to, kernel int) {
		out[name+".weight"] = []int{to, from, kernel, kernel}
		for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
			out[name+".norm."+part] = []int{to}
		}
	}
	conv("stem.conv1", 3, 64, 7)
	stages := map[int][]int{18: {2, 2, 2, 2}, 34: {3, 4, 6, 3}, 50: {3, 4, 6, 3}, 101: {3, 4, 23, 3}, 152: {3, 8, 36, 3}}[depth]
	in := 64
	for i, blocks := range stages {
		width := 64 << i
		for j := range blocks {
			at := fmt.Sprintf("res%d.%d.", i+2, j)
			if depth < 50 {
				if i > 0 && j == 0 {
					conv(at+"shortcut", in, width, 1)
				}
				conv(at+"conv1", in, width, 3)
				conv(at+"conv2", width, width, 3)
				in = width
				continue
			}
			if j == 0 {
				conv(at+"shortcut", in, 4*width, 1)
			}
			conv(at+"conv1", in, width, 1)
			conv(at+"conv2", width, width, 3)
			conv(at+"conv3", width, 4*width, 1)
			in = 4 * width
		}
	}
	return out
}

// The totals equal the published classifiers' without their last linear layer.
func TestResNetParameters(t *testing.T) {
	for depth, total := range map[int]int{18: 11176512, 34: 21284672, 50: 23508032, 101: 42500160, 152: 58143808} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			modeltest.Do(t, func(s *torch.Scope) {
				store := nn.NewStore(zeros{}, nn.StoreOptions{})
				defer store.Close()
				_, err := newResNet(store.Root(), ResNet{Depth: depth, Norm: nn.BatchNorm})
				require.NoError(t, err)
				got, trained := map[string][]int{}, 0
				for _, p := range store.Parameters() {
					got[p.Name] = p.Tensor.Shape()
					if !p.Buffer {
						trained += p.Tensor.Elements()
					}
				}
				require.Empty(t, cmp.Diff(resNetShapes(depth), got))
				require.Equal(t, total, trained)
			})
		})
	}
}

func TestResNetPyramidNames(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		store := nn.NewStore(zeros{}, nn.StoreOptions{})
		defer store.Close()
		_, err := ResNetFPN{ResNet: ResNet{Depth: 50}}.Build(store.Root().Sub("backbone"))
		require.NoError(t, err)
		want := map[string][]int{}
		for name, shape := range resNetShapes(50) {
			want["backbone.bottom_up."+name] = shape
		}
		for i, in := range []int{256, 512, 1024, 2048} {
			want[fmt.Sprintf("backbone.fpn_lateral%d.weight", i+2)] = []int{256, in, 1, 1}
			want[fmt.Sprintf("backbone.fpn_output%d.weight", i+2)] = []int{256, 256, 3, 3}
			want[fmt.Sprintf("backbone.fpn_lateral%d.bias", i+2)] = []int{256}
			want[fmt.Sprintf("backbone.fpn_output%d.bias", i+2)] = []int{256}
		}
		got := map[string][]int{}
		for _, p := range store.Parameters() {
			got[p.Name] = p.Tensor.Shape()
			require.Equal(t, p.Buffer, !p.Tensor.RequiresGrad(), p.Name)
		}
		require.Empty(t, cmp.Diff(want, got))
	})
}

// narrow is a ResNet of a depth that is quick to run.
func narrow(depth int) ResNetFPN {
	return ResNetFPN{ResNet: ResNet{Depth: depth, StemChannels: 8, Res2Channels: 16, Width: 8}, Channels: 16}
}

func TestResNetForInferenceEqualsResNetForTraining(t *testing.T) {
	for _, depth := range []int{18, 34, 50, 101, 152} {
		for _, norm := range []nn.NormKind{nn.FrozenNorm, nn.BatchNorm} {
			t.Run(fmt.Sprintf("%d with norm %d", depth, norm), func(t *testing.T) {
				modeltest.Do(t, func(s *torch.Scope) {
					x := s.Randn(torch.NewGenerator(1), torch.Float32, 2, 3, 64, 96)
					all := map[bool][]*torch.Tensor{}
					for _, inference := range []bool{false, true} {
						store := nn.NewStore(scattered(4), nn.StoreOptions{Inference: inference})
						defer store.Close()
						c := narrow(depth)
						c.ResNet.Norm = norm
						net, err := c.Build(store.Root())
						require.NoError(t, err)
						all[inference] = net.Forward(x)
					}
					for i := range all[true] {
						require.Greater(t, all[false][i].Norm().Item(), 1e-3)
						require.Less(t, distance(all[true][i], all[false][i]), 1e-4)
					}
				})
			})
		}
	}
}

func TestStrideIn1x1MovesTheStride(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		var all []*torch.Tensor
		for _, first := range []bool{false, true} {
			store := nn.NewStore(scattered(4), nn.StoreOptions{Inference: true})
			defer store.Close()
			c := narrow(50)
			c.ResNet.StrideIn1x1 = first
			net, err := c.Build(store.Root())
			require.NoError(t, err)
			all = append(all, net.Forward(s.Randn(torch.NewGenerator(1), torch.Float32, 1, 3, 64, 64))[3])
		}
		require.Equal(t, all[0].Shape(), all[1].Shape())
		require.Greater(t, distance(all[1], all[0]), 1e-2)
	})
}

func TestPyramidShapes(t *testing.T) {
	for name, build := range map[string]Builder{"ResNet-18": narrow(18), "ResNet-50": narrow(50), "Swin": SwinFPN{Swin: smallSwin, Channels: 16}} {
		for _, size := range [][2]int{{32, 32}, {32, 96}, {160, 64}, {224, 288}} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				modeltest.Do(t, func(s *torch.Scope) {
					store := nn.NewStore(scattered(4), nn.StoreOptions{Inference: true})
					defer store.Close()
					net, err := build.Build(store.Root())
					require.NoError(t, err)
					x := s.Randn(torch.NewGenerator(1), torch.Float32, 2, 3, size[0], size[1])
					mark, live := s.Mark(), torch.Live()
					levels := net.Forward(x)
					require.Len(t, levels, len(net.Strides()))
					require.Equal(t, live+int64(len(levels)), torch.Live(), "only the levels stay")
					for i, stride := range net.Strides() {
						require.Equal(t, []int{2, net.Channels(), size[0] / stride, size[1] / stride}, levels[i].Shape())
						require.Equal(t, 1.0, levels[i].IsFinite().All().Item())
					}
					s.Release(mark)
				})
			})
		}
	}
}

// Each output is a 3×3 convolution of the lateral plus everything coarser, repeated.
func TestPyramidSumsFromTheTop(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		store := nn.NewStore(scattered(4), nn.StoreOptions{})
		defer store.Close()
		features := []*torch.Tensor{
			s.Randn(torch.NewGenerator(1), torch.Float32, 1, 3, 8, 12), s.Randn(torch.NewGenerator(2), torch.Float32, 1, 5, 4, 6),
		}
		f, err := newFPN(store.Root(), fixed{features}, 4)
		require.NoError(t, err)
		got := f.Forward(features[0])
		above := f.lateral[1].Forward(features[1])
		repeated := above.RepeatInterleave(2, 2).RepeatInterleave(2, 3)
		require.Less(t, distance(got[1], f.output[1].Forward(above)), 1e-6)
		require.Less(t, distance(got[0], f.output[0].Forward(f.lateral[0].Forward(features[0]).Add(repeated))), 1e-6)
	})
}

// fixed is a bottom of the pyramid that does not depend on the picture.
type fixed struct{ maps []*torch.Tensor }

func (f fixed) features(*torch.Tensor) []*torch.Tensor { return f.maps }

func (f fixed) channels() []int {
	var out []int
	for _, m := range f.maps {
		out = append(out, m.Size(1))
	}
	return out
}

func TestResNetRefusesWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		config ResNetFPN
		reason string
	}{
		{ResNetFPN{}, "depth 0: want 18, 34, 50, 101 or 152"},
		{ResNetFPN{ResNet: ResNet{Depth: 51}}, "depth 51"},
		{ResNetFPN{ResNet: ResNet{Depth: 50, Width: -1}}, "negative channels"},
		{ResNetFPN{ResNet: ResNet{Depth: 18}, Channels: -256}, "pyramid of -256 channels"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			modeltest.Do(t, func(s *torch.Scope) {
				store := nn.NewStore(zeros{}, nn.StoreOptions{})
				defer store.Close()
				_, err := c.config.Build(store.Root())
				require.ErrorContains(t, err, "backbone: ")
				require.ErrorContains(t, err, c.reason)
			})
		})
	}
}
