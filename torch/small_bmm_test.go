package torch

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// The products and their gradients are Bmm's, for every remainder of rows and columns,
// and for matrices that do not lie row by row.
func TestSmallBmmIsBmm(t *testing.T) {
	before := Live()
	for _, c := range []struct{ b, m, k, n int }{
		{5, 49, 64, 16}, {5, 49, 16, 64}, {3, 1, 1, 1}, {2, 7, 5, 17}, {9, 6, 3, 48}, {2, 13, 2, 65}, {1, 8, 9, 130}, {2, 4, 100, 31},
	} {
		for d, tolerance := range map[DType]float64{Float32: 1e-6, Float64: 1e-14} {
			for _, turned := range []bool{false, true} {
				t.Run(fmt.Sprintf("%+v %v %v", c, d, turned), func(t *testing.T) {
					require.NoError(t, Do(context.Background(), func(s *Scope) error {
						g := NewGenerator(7)
						make := func(rows, columns int) *Tensor {
							if turned {
								return s.Randn(g, d, c.b, columns, rows+3).Narrow(2, 2, rows).Transpose(1, 2)
							}
							return s.Randn(g, d, c.b, rows, columns)
						}
						a, b, weight := make(c.m, c.k), make(c.k, c.n), make(c.m, c.n)
						run := func(f func(a, b *Tensor) *Tensor) (out [3]*Tensor) {
							WithGrad(func() {
								x, y := a.Detach().SetRequiresGrad(true), b.Detach().SetRequiresGrad(true)
								z := f(x, y)
								z.Mul(weight).Sum().Backward()
								out = [3]*Tensor{z.Detach(), x.Grad(s), y.Grad(s)}
							})
							return out
						}
						got, want := run((*Tensor).SmallBmm), run((*Tensor).Bmm)
						for i := range got {
							require.Equal(t, want[i].Shape(), got[i].Shape())
							far := got[i].Sub(want[i]).Norm().Item() / want[i].Norm().Item()
							require.Less(t, far, tolerance, "product, gradients: %d", i)
						}
						return nil
					}))
				})
			}
		}
	}
	require.Equal(t, before, Live())
}

func TestSmallBmmRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range [][2][]int{{{2, 3, 4}, {2, 3, 4}}, {{2, 3, 4}, {3, 4, 3}}, {{3, 4}, {4, 3}}} {
		err := Do(context.Background(), func(s *Scope) error {
			s.Zeros(F32(CPU), c[0]...).SmallBmm(s.Zeros(F32(CPU), c[1]...))
			return nil
		})
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "small_bmm", e.Op)
	}
}

// BenchmarkSmallBmm is the products of the paper's dynamic convolution for a picture,
// 500 proposals, beside LibTorch's own.
func BenchmarkSmallBmm(b *testing.B) {
	for _, c := range []struct{ m, k, n int }{{49, 256, 64}, {49, 64, 256}, {49, 64, 16}} {
		for name, f := range map[string]func(a, b *Tensor) *Tensor{"SmallBmm": (*Tensor).SmallBmm, "Bmm": (*Tensor).Bmm} {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", c.m, c.k, c.n, name), func(b *testing.B) {
				require.NoError(b, Do(context.Background(), func(s *Scope) error {
					g := NewGenerator(1)
					left, right := s.Randn(g, Float32, 500, c.m, c.k), s.Randn(g, Float32, 500, c.k, c.n)
					for b.Loop() {
						mark := s.Mark()
						f(left, right)
						s.Release(mark)
					}
					return nil
				}))
			})
		}
	}
}
