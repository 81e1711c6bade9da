package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func TestEMA(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		st := twoVectors(torch.CPU)
		defer st.Close()
		e := nn.NewEMA(st, 0.75)
		defer e.Close()
		mean, a := st.Parameters()[3], st.Parameters()[0]
		start, startMean := torch.Values[float64](a.Tensor), torch.Values[float64](mean.Tensor)
		s.Adopt(a.Tensor).Detach().FillInPlace(2)
		mean.Tensor.FillInPlace(2)
		e.Update()
		e.Update()
		for i, v := range torch.Values[float64](e.Parameters()[0].Tensor) {
			require.InDelta(t, 0.75*0.75*start[i]+(1-0.75*0.75)*2, v, 1e-6)
		}
		for i, v := range torch.Values[float64](e.Parameters()[3].Tensor) {
			require.InDelta(t, 0.75*0.75*startMean[i]+(1-0.75*0.75)*2, v, 1e-6, "float statistics too")
		}
		average := torch.Values[float32](e.Parameters()[0].Tensor)
		e.Swap()
		require.Equal(t, average, torch.Values[float32](a.Tensor))
		require.Equal(t, []float32{2, 2, 2, 2}, torch.Values[float32](e.Parameters()[0].Tensor))
		e.Swap()
		require.Equal(t, average, torch.Values[float32](e.Parameters()[0].Tensor))
		require.True(t, a.Tensor.RequiresGrad())

		other := nn.NewEMA(st, 0.75)
		defer other.Close()
		saved := tensors{}
		for _, p := range e.Parameters() {
			saved[p.Name] = p.Tensor
		}
		require.NoError(t, other.Restore(saved))
		require.Equal(t, average, torch.Values[float32](other.Parameters()[0].Tensor))
		require.ErrorContains(t, other.Restore(tensors{}), "missing     a")
	})
}

func TestEMAWarmsUp(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		st := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{})
		defer st.Close()
		x := st.Root().Buffer("x", nn.Constant(0), 1)
		e := nn.NewEMA(st, 0.999)
		defer e.Close()
		e.Warmup = true
		x.FillInPlace(1)
		e.Update()
		require.InDelta(t, 0.9, e.Parameters()[0].Tensor.Item(), 1e-6, "1 − 1/10")
		e.Update()
		require.InDelta(t, 1-0.1*2/11, e.Parameters()[0].Tensor.Item(), 1e-6)
	})
}
