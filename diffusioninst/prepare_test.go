package diffusioninst

import (
	"context"
	"image"
	"image/color"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// readPicture counts how often its first pixel is read.
type readPicture struct {
	image.Image
	reads *atomic.Int64
}

func (p readPicture) At(x, y int) color.Color {
	if (image.Point{X: x, Y: y}) == p.Bounds().Min {
		p.reads.Add(1)
	}
	return p.Image.At(x, y)
}

// waiting is a backbone whose first pass waits until the picture is read more often than once.
type waiting struct {
	backbone.Backbone
	reads *atomic.Int64
	once  *int64
	ahead bool
}

func (w *waiting) Forward(x *torch.Tensor) []*torch.Tensor {
	for start := time.Now(); !w.ahead && time.Since(start) < time.Minute; time.Sleep(time.Millisecond) {
		w.ahead = w.reads.Load() > *w.once
	}
	return w.Backbone.Forward(x)
}

// While the network sees one view the next is read, and what is found is what each alone gives.
func TestPreparesTheNextViewWhileTheNetworkRuns(t *testing.T) {
	ctx, config := context.Background(), small()
	inner, reads, once := config.Backbone, new(atomic.Int64), int64(0)
	var waits *waiting
	plain, err := New(ctx, config, 1, torch.CPU)
	require.NoError(t, err)
	defer plain.Close()
	config.Backbone = backbone.BuilderFunc(func(p nn.Path) (backbone.Backbone, error) {
		b, err := inner.Build(p)
		waits = &waiting{b, reads, &once, false}
		return waits, err
	})
	m, err := New(ctx, config, 1, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	o := Options{Score: -1, Augment: Augment{Scales: []int{48, 64}, Flip: true}}
	var parts []string
	seen := o
	seen.OnPart = func(part string, took time.Duration) {
		parts = append(parts, part)
		require.Positive(t, took)
	}
	img := readPicture{pattern(100, 80), reads}
	_, err = plain.Segment(ctx, img, Options{Score: -1})
	require.NoError(t, err)
	once = reads.Swap(0)
	require.Positive(t, once)
	got, err := m.Segment(ctx, img, seen)
	require.NoError(t, err)
	require.True(t, waits.ahead, "the second view is read during the first pass")
	want, err := plain.Segment(ctx, img, o)
	require.NoError(t, err)
	require.Equal(t, want, got)
	one := []string{"prepare", "backbone", "mask branch", "sampling", "masks"}
	require.Equal(t, append(append(append(append(one[:5:5], one...), one...), one...), "merge"), parts)
}
