package diffusioninst

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// patience is a context that is cancelled when it has been asked so many times.
type patience struct {
	context.Context
	left atomic.Int64
}

func patient(asked int64) *patience {
	p := &patience{Context: context.Background()}
	p.left.Store(asked)
	return p
}

func (p *patience) Err() error {
	if p.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// Wherever in a pass a call is cancelled, nothing more is computed: each operator asks, and
// after the one that learns of it only the two places that pass the error on do.
func TestCancelledInsideAPass(t *testing.T) {
	m, before := smallModel(t), torch.Live()
	img, o := pattern(100, 80), Options{Score: -1, Steps: 2}
	long := patient(1 << 40)
	_, err := m.Segment(long, img, o)
	require.NoError(t, err)
	asked := 1<<40 - long.left.Load()
	require.Greater(t, asked, int64(500), "operators of a call")
	for n := int64(0); n < asked; n += 1 + asked/150 {
		ctx := patient(n)
		_, err := m.Segment(ctx, img, o)
		require.Equal(t, context.Canceled, err, "asked %d times", n)
		require.GreaterOrEqual(t, ctx.left.Load(), int64(-3), "asked %d times", n)
		require.Equal(t, before, torch.Live())
	}
}
