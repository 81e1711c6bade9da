//go:build cgo

package nuclei

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/simulate"
	"github.com/diffusioninst/go/torch"
)

// What a picture in one size costs does not grow unseen: operators, copies between memory orders, bytes and
// arithmetic of a picture and of each further step are bounded, on any machine and under any load.
func TestWorkOfAPicture(t *testing.T) {
	ctx := context.Background()
	m, err := Load(ctx, diffusioninst.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	img, _ := simulate.Nuclei(simulate.Options{Width: 256, Height: 256, Seed: 1})
	work := func(steps int) torch.Counts {
		return torch.Count(func() {
			_, err = m.Segment(ctx, img, diffusioninst.Options{Scales: oneSize, Steps: steps, Score: 1})
			require.NoError(t, err)
		})
	}
	one, three := work(1), work(3)
	step := torch.Counts{
		Operators: (three.Operators - one.Operators) / 2, Layouts: (three.Layouts - one.Layouts) / 2,
		Bytes: (three.Bytes - one.Bytes) / 2, FLOP: (three.FLOP - one.FLOP) / 2,
	}
	t.Logf("one step: %+v, each further one: %+v", one, step)
	atMost := func(want, got torch.Counts) { // in LibTorch 1.13, whose operators may call others than later releases' do
		slack := int64(1)
		if !strings.HasPrefix(torch.Version(), "1.13") {
			slack = 2
		}
		require.LessOrEqual(t, got.Operators, want.Operators*slack)
		require.LessOrEqual(t, got.Layouts, want.Layouts*slack)
		require.LessOrEqual(t, got.Bytes, want.Bytes*slack)
		require.InEpsilon(t, want.FLOP, got.FLOP, 0.01)
	}
	atMost(torch.Counts{Operators: 955, Layouts: 1, Bytes: 145e6, FLOP: 11.420e9}, one)
	atMost(torch.Counts{Operators: 835, Layouts: 1, Bytes: 95e6, FLOP: 3.580e9}, step)
}
