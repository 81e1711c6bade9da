package nn_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func TestFromParameters(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		st := nn.NewStore(nn.FromSeed(1), nn.StoreOptions{})
		defer st.Close()
		a := st.Root().Parameter("a", nn.Normal(1), 3)
		st.Root().Buffer("b", nn.Normal(1), 2)
		want := torch.Values[float32](a)

		source := nn.FromParameters(st.Parameters())
		require.Equal(t, []string{"a", "b"}, source.Names())
		other := nn.NewStore(source, nn.StoreOptions{})
		defer other.Close()
		b := other.Root().Parameter("a", nn.Constant(0), 3)
		require.True(t, b.RequiresGrad())
		s.Adopt(a).Detach().FillInPlace(7)
		require.Equal(t, want, torch.Values[float32](b), "it is a copy")
		var e *nn.LoadError
		require.ErrorAs(t, other.Err(), &e)
		require.Equal(t, []string{"b"}, e.Unexpected)

		s.Adopt(a).Detach().FillInPlace(math.Inf(1))
		third := nn.NewStore(source, nn.StoreOptions{})
		defer third.Close()
		third.Root().Parameter("a", nn.Constant(0), 3)
		third.Root().Buffer("b", nn.Constant(0), 5)
		third.Root().Buffer("c", nn.Constant(0), 5)
		require.ErrorAs(t, third.Err(), &e)
		require.ErrorIs(t, e, nn.ErrNotFinite)
		require.Equal(t, []nn.Mismatch{{Name: "b", Want: []int{5}, Have: []int{2}}}, e.Mismatched)
		require.Equal(t, []string{"c"}, e.Missing)
	})
}
