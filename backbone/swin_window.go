package backbone

import (
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A block pads its map with zeros on the right and below to whole windows, and
// every other block then rolls it up and left by half a window, so that the last
// row and column of windows hold tokens from opposite edges. Those must not see
// each other. Whatever the size of the map, this takes two masks only: one for the
// windows of the last row and one for the windows of the last column.

// separated is what the reference adds to the logit of a pair of tokens that must
// not see each other.
const separated = -100

// windowTables are the constants of attention in windows of n = side² tokens.
type windowTables struct {
	side       int
	index      []int64   // (n,n): the row of the position bias table for a query and a key
	lastRow    []float32 // (n,n): 0 or separated, for windows of the last row
	lastColumn []float32 // (n,n): the same for windows of the last column
}

func newWindowTables(side int) windowTables {
	n := side * side
	t := windowTables{side: side, index: make([]int64, n*n), lastRow: make([]float32, n*n), lastColumn: make([]float32, n*n)}
	edge := side - side/2 // tokens from here on come from the opposite edge
	for query := range n {
		for key := range n {
			qy, qx, ky, kx := query/side, query%side, key/side, key%side
			t.index[query*n+key] = int64((qy-ky+side-1)*(2*side-1) + qx - kx + side - 1)
			if (qy < edge) != (ky < edge) {
				t.lastRow[query*n+key] = separated
			}
			if (qx < edge) != (kx < edge) {
				t.lastColumn[query*n+key] = separated
			}
		}
	}
	return t
}

// windowTensors are windowTables on the device of a network.
type windowTensors struct{ index, lastRow, lastColumn *torch.Tensor }

// upload makes the tables constants of a network.
func (t windowTables) upload(p nn.Path) windowTensors {
	n := t.side * t.side
	mask := func(values []float32) *torch.Tensor {
		return p.Constant(func(s *torch.Scope) *torch.Tensor {
			return torch.From(s, values, n, n).ToDType(p.DType()).To(p.Device())
		})
	}
	index := p.Constant(func(s *torch.Scope) *torch.Tensor { return torch.From(s, t.index).To(p.Device()) })
	return windowTensors{index, mask(t.lastRow), mask(t.lastColumn)}
}

// like returns the tables with masks of x's type, in x's scope.
func (t windowTensors) like(x *torch.Tensor) windowTensors {
	s := x.Scope()
	mask := func(m *torch.Tensor) *torch.Tensor { return s.Adopt(m).ToDType(x.DType()) }
	return windowTensors{s.Adopt(t.index), mask(t.lastRow), mask(t.lastColumn)}
}

func (t windowTensors) all() []*torch.Tensor {
	return []*torch.Tensor{t.index, t.lastRow, t.lastColumn}
}

// axis is one side of a map of tokens that is padded to whole windows and rolled
// back by shift tokens.
type axis struct{ tokens, window, shift int }

func (a axis) windows() int { return ceilDiv(a.tokens, a.window) }

// span says that n tokens from number from on lie at places to, to+1, …
type span struct{ from, to, n int }

// spans returns where the tokens lie that are in the windows first … first+n−1; to
// counts from the first of these windows. All other places there are padding.
func (a axis) spans(first, n int) []span {
	low, high := first*a.window, (first+n)*a.window
	var out []span
	for _, s := range []span{
		{from: a.shift, to: 0, n: a.tokens - a.shift},
		{from: 0, to: a.windows()*a.window - a.shift, n: min(a.shift, a.tokens)},
	} {
		if start, end := max(s.to, low), min(s.to+s.n, high); start < end {
			out = append(out, span{from: s.from + start - s.to, to: start - low, n: end - start})
		}
	}
	return out
}

// covered reports whether the spans are a plain run from place 0 to the end.
func covered(spans []span, n int) bool { return len(spans) == 1 && spans[0].n == n }

// rectangle is the part of a map (B,H,W,C).
func rectangle(x *torch.Tensor, row, rows, column, columns int) *torch.Tensor {
	return x.Narrow(1, row, rows).Narrow(2, column, columns)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
