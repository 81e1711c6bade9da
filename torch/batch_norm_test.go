package torch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// normCase is a batch norm of (B,C,H,W) with running statistics, and a weighted sum
// of what comes out.
type normCase struct {
	shape []int
	dtype DType
	relu  bool
	last  bool // channels-last
	on    Device
}

type normResult struct{ y, dx, dweight, dbias, mean, variance *Tensor }

func (c normCase) input(s *Scope) (x, weight, bias, loss *Tensor) {
	g := NewGenerator(11)
	draw := func(shape ...int) *Tensor { return s.Randn(g, Float32, shape...).ToDType(c.dtype).To(c.on) }
	channels := c.shape[1]
	x = draw(c.shape...).MulScalar(3).AddScalar(5)
	if c.last {
		x = x.ChannelsLast()
	}
	return x, draw(channels), draw(channels), draw(c.shape...)
}

// run normalises the pictures from … to with a kernel.
func (c normCase) run(s *Scope, from, to int, kernel func(n BatchNormTraining, x *Tensor) *Tensor, member *SyncMember) (r normResult) {
	all, weight, bias, loss := c.input(s)
	like := Options{c.dtype, c.on}
	r.mean, r.variance = s.Full(0.5, like, c.shape[1]), s.Full(2, like, c.shape[1])
	WithGrad(func() {
		x := all.Narrow(0, from, to-from).Detach().SetRequiresGrad(true)
		w, b := weight.SetRequiresGrad(true), bias.SetRequiresGrad(true)
		y := kernel(BatchNormTraining{
			Weight: w, Bias: b, Mean: r.mean, Variance: r.variance, Momentum: 0.1, Eps: 1e-5, ReLU: c.relu, Member: member,
		}, x)
		y.Mul(loss.Narrow(0, from, to-from)).Sum().Backward()
		r.y, r.dx, r.dweight, r.dbias = y.Detach(), x.Grad(s), w.Grad(s), b.Grad(s)
	})
	return r
}

func composedNorm(n BatchNormTraining, x *Tensor) *Tensor {
	y := x.BatchNorm(n.Weight, n.Bias, n.Mean, n.Variance, true, n.Momentum, n.Eps, true)
	if n.ReLU {
		y = y.Relu()
	}
	return y
}

func (r normResult) same(t *testing.T, want normResult, tolerance float64) {
	t.Helper()
	pairs := [][2]*Tensor{{r.y, want.y}, {r.dx, want.dx}, {r.dweight, want.dweight}, {r.dbias, want.dbias}, {r.mean, want.mean}, {r.variance, want.variance}}
	for i, p := range pairs {
		require.Equal(t, p[1].Shape(), p[0].Shape())
		require.LessOrEqual(t, p[0].Sub(p[1]).Norm().Item(), tolerance*max(p[1].Norm().Item(), 1), "y, dx, dweight, dbias, mean, variance: %d", i)
	}
}

var normShapes = [][]int{{4, 16, 6, 10}, {4, 3, 5, 7}, {2, 128, 20, 30}, {4, 70, 3, 3}, {2, 1, 2, 2}, {3, 8, 65, 33}}

func TestBatchNormTrainingIsLibTorchs(t *testing.T) {
	before := Live()
	for _, shape := range normShapes {
		for d, tolerance := range map[DType]float64{Float32: 2e-5, Float64: 1e-12} {
			for i := range 4 {
				c := normCase{shape: shape, dtype: d, relu: i&1 == 0, last: i&2 == 0}
				t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
					require.NoError(t, Do(context.Background(), func(s *Scope) error {
						c.run(s, 0, shape[0], BatchNormTraining.Forward, nil).same(t, c.run(s, 0, shape[0], composedNorm, nil), tolerance)
						return nil
					}))
				})
			}
		}
	}
	require.Equal(t, before, Live())
}

// meeting returns members of groups that meet in Go functions.
func meeting(n int) []*SyncMember {
	to := make([][]chan []float64, n)
	for i := range to {
		for range n {
			to[i] = append(to[i], make(chan []float64, 1))
		}
	}
	out := make([]*SyncMember, n)
	for i := range out {
		out[i] = &SyncMember{Group: NewSyncGroupOver(func(mine []float64) (all [][]float64, err error) {
			for k := range n {
				to[i][k] <- slices.Clone(mine)
			}
			for k := range n {
				all = append(all, <-to[k][i])
			}
			return all, nil
		})}
	}
	return out
}

func TestSyncGroupOverThatFails(t *testing.T) {
	for name, gather := range map[string]func([]float64) ([][]float64, error){
		"error":     func([]float64) ([][]float64, error) { return nil, errors.New("rank 3 is lost") },
		"panic":     func([]float64) ([][]float64, error) { panic("rank 3 is lost") },
		"too short": func(mine []float64) ([][]float64, error) { return [][]float64{mine, mine[1:]}, nil },
	} {
		err := Do(context.Background(), func(s *Scope) error {
			c := normCase{[]int{2, 3, 4, 4}, Float32, true, true, CPU}
			c.run(s, 0, 2, BatchNormTraining.Forward, &SyncMember{Group: NewSyncGroupOver(gather)})
			return nil
		})
		want := "rank 3 is lost"
		if name == "too short" {
			want = "member 1 brings 6 values, this one 7"
		}
		require.ErrorContains(t, err, want, name)
	}
}

var groupCases = []normCase{
	{[]int{4, 16, 6, 10}, Float64, true, true, CPU}, {[]int{7, 5, 9, 4}, Float64, false, false, CPU}, {[]int{5, 32, 12, 12}, Float32, true, true, CPU},
}

// A member on a GPU says and computes what one on the CPU does.
func TestBatchNormTrainingOfAGroupOnAGPU(t *testing.T) {
	if CUDADevices() == 0 {
		t.Skip("no GPU here")
	}
	for _, c := range groupCases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			tolerance := map[DType]float64{Float32: 2e-5, Float64: 1e-12}[c.dtype]
			var said [][][]float64 // by all members, forward and backward
			member := func(gather func(mine []float64) [][]float64) *SyncMember {
				return &SyncMember{Group: NewSyncGroupOver(func(mine []float64) ([][]float64, error) { return gather(mine), nil })}
			}
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				want := c.run(s, 1, 3, BatchNormTraining.Forward, member(func(mine []float64) [][]float64 {
					other := slices.Clone(mine)
					for i := range other {
						other[i] *= 1.5
					}
					said = append(said, [][]float64{slices.Clone(mine), other})
					return said[len(said)-1]
				}))
				on, round := c, 0
				on.on = CUDA(0)
				got := on.run(s, 1, 3, BatchNormTraining.Forward, member(func(mine []float64) [][]float64 {
					all := said[round]
					for i, v := range all[0] {
						require.InDelta(t, v, mine[i], tolerance*max(1, math.Abs(v))*10, "round %d, value %d", round, i)
					}
					round++
					return all
				}))
				require.Equal(t, 2, round)
				for _, x := range []**Tensor{&got.y, &got.dx, &got.dweight, &got.dbias, &got.mean, &got.variance} {
					*x = (*x).To(CPU)
				}
				got.same(t, want, tolerance)
				return nil
			}))
		})
	}
}

// Members of a group normalise their pictures as one would all of them; what they
// add to the gradients of weight and bias adds up to one's.
func TestBatchNormTrainingOfAGroup(t *testing.T) {
	before := Live()
	team := NewTeam(3, 1)
	defer team.Close()
	for _, c := range groupCases {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			require.NoError(t, Do(context.Background(), func(s *Scope) error {
				whole := c.run(s, 0, c.shape[0], composedNorm, nil)
				members := meeting(3)
				if c.dtype == Float32 || c.relu {
					group := NewSyncGroup(3)
					members = []*SyncMember{{group, 0}, {group, 1}, {group, 2}}
				}
				cuts := []int{0, 1, 3, c.shape[0]} // members with different numbers of pictures
				parts := make([]normResult, 3)
				for _, err := range team.Do(context.Background(), 3, func(i int, own *Scope) error {
					r := c.run(own, cuts[i], cuts[i+1], BatchNormTraining.Forward, members[i])
					parts[i] = normResult{r.y.Keep(), r.dx.Keep(), r.dweight.Keep(), r.dbias.Keep(), r.mean.Keep(), r.variance.Keep()}
					return nil
				}) {
					require.NoError(t, err)
				}
				all := func(pick func(r normResult) *Tensor) (out []*Tensor) {
					for _, p := range parts {
						out = append(out, s.Adopt(pick(p)))
					}
					return out
				}
				joined := normResult{
					y:       Cat(all(func(r normResult) *Tensor { return r.y }), 0),
					dx:      Cat(all(func(r normResult) *Tensor { return r.dx }), 0),
					dweight: Stack(all(func(r normResult) *Tensor { return r.dweight }), 0).SumDim([]int{0}, false),
					dbias:   Stack(all(func(r normResult) *Tensor { return r.dbias }), 0).SumDim([]int{0}, false),
				}
				tolerance := map[DType]float64{Float32: 2e-5, Float64: 1e-12}[c.dtype]
				for _, p := range parts {
					joined.mean, joined.variance = p.mean, p.variance
					joined.same(t, whole, tolerance)
				}
				for _, p := range parts {
					for _, tensor := range []*Tensor{p.y, p.dx, p.dweight, p.dbias, p.mean, p.variance} {
						tensor.Close()
					}
				}
				return nil
			}))
		})
	}
	require.Equal(t, before, Live())
}

// A member that stops must not leave the others waiting.
func TestGroupEndsWithItsMembers(t *testing.T) {
	team := NewTeam(2, 1)
	defer team.Close()
	c := normCase{[]int{4, 3, 2, 2}, Float32, false, true, CPU}
	group := NewSyncGroup(2)
	errs := team.Do(context.Background(), 2, func(i int, s *Scope) error {
		if i == 1 {
			group.Abort()
			return nil
		}
		c.run(s, 0, 2, BatchNormTraining.Forward, &SyncMember{group, 0})
		return nil
	})
	require.NoError(t, errs[1])
	require.ErrorContains(t, errs[0], "another member of the group has stopped")

	group = NewSyncGroup(2) // members of different widths do different things
	for _, err := range team.Do(context.Background(), 2, func(i int, s *Scope) error {
		c := normCase{[]int{4, 3 + i, 2, 2}, Float32, false, true, CPU}
		c.run(s, 0, 2, BatchNormTraining.Forward, &SyncMember{group, i})
		return nil
	}) {
		require.ErrorContains(t, err, "another member of the group has stopped")
	}
}

// In bfloat16 only the rounding of what goes in and comes out is coarser: sums and
// statistics are float32's.
func TestBatchNormTrainingInBFloat16(t *testing.T) {
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		for _, shape := range normShapes[:4] {
			c := normCase{shape, Float32, true, true, CPU}
			mixed := func(n BatchNormTraining, x *Tensor) *Tensor { return n.Forward(x.ToDType(BFloat16)).ToDType(Float32) }
			exact := func(n BatchNormTraining, x *Tensor) *Tensor { return n.Forward(x.ToDType(BFloat16).ToDType(Float32)) }
			got, want := c.run(s, 0, shape[0], mixed, nil), c.run(s, 0, shape[0], exact, nil)
			got.same(t, want, 6e-3)
			require.Less(t, got.mean.Sub(want.mean).Norm().Item(), 1e-6)
			// Rounding errs to both sides: the sums are far better than their terms.
			require.Less(t, got.dbias.Sub(want.dbias).Norm().Item()/want.dbias.Norm().Item(), 4e-3)
		}
		x := From(s, []float32{float32(math.NaN()), float32(math.Inf(1)), 1, 1}, 1, 1, 2, 2).ToDType(BFloat16)
		one := s.Full(1, F32(CPU), 1)
		require.True(t, math.IsNaN(BatchNormTraining{Weight: one, Bias: one, Eps: 1e-5}.Forward(x).Sum().Item()))
		return nil
	}))
}

func TestBatchNormTrainingKeepsNaN(t *testing.T) {
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		x := s.Zeros(F32(CPU), 2, 3, 2, 2)
		x.Narrow(1, 1, 1).FillInPlace(math.NaN())
		one := s.Full(1, F32(CPU), 3)
		y := BatchNormTraining{Weight: one, Bias: one, Eps: 1e-5, ReLU: true}.Forward(x)
		require.True(t, math.IsNaN(y.Sum().Item()))
		require.Equal(t, 8.0, y.Narrow(1, 0, 1).Sum().Item())
		return nil
	}))
}
