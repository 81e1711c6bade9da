package train

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/closetest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// small is a network that trains in a moment, for a number of classes.
func small(classes int) diffusioninst.Config {
	c := diffusioninst.Config{
		Backbone:   backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8}},
		Decoder:    decoder.Config{Hidden: 16, Dynamic: 4, FeedForward: 16, Heads: 2, Stages: 2, BoxLayers: 1},
		MaskBranch: maskhead.BranchConfig{Width: 8, Convs: 1},
		Proposals:  12,
	}
	for i := range classes {
		c.Classes = append(c.Classes, string(rune('a'+i)))
	}
	return c
}

// picture is a noisy picture with bright rectangles as its objects.
func picture(id string, w, h int, classes int, boxes ...diffusioninst.Box) data.Sample {
	r := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	s := data.Sample{ID: id, Width: w, Height: h, RGB: make([]uint8, 3*w*h)}
	for i := range s.RGB {
		s.RGB[i] = uint8(r.IntN(60))
	}
	for i, b := range boxes {
		m := mask.NewBitmap(w, h)
		for y := int(b.Y1); y < int(b.Y2); y++ {
			for x := int(b.X1); x < int(b.X2); x++ {
				m.Set(x, y, true)
				s.RGB[3*(y*w+x)+i%3] = 220
			}
		}
		s.Objects = append(s.Objects, data.Object{Class: i % classes, Box: b, Mask: m})
	}
	return s
}

// pictures is a batch of three, one without objects.
func pictures(classes int) []data.Sample {
	return []data.Sample{
		picture("two", 64, 48, classes, diffusioninst.Box{X1: 4, Y1: 6, X2: 30, Y2: 40}, diffusioninst.Box{X1: 34, Y1: 10, X2: 60, Y2: 30}),
		picture("none", 40, 64, classes),
		picture("one", 50, 50, classes, diffusioninst.Box{X1: 10, Y1: 8, X2: 44, Y2: 40}),
	}
}

func newTrainer(t *testing.T, c diffusioninst.Config, o Options) *Trainer {
	t.Helper()
	return newTrainerOn(t, torch.CPU, c, o)
}

func newTrainerOn(t *testing.T, device torch.Device, c diffusioninst.Config, o Options) *Trainer {
	t.Helper()
	before := torch.Live()
	trainer, err := New(context.Background(), c, nn.FromSeed(1), device, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		trainer.Close()
		require.Equal(t, before, torch.Live(), "tensors left behind")
	})
	return trainer
}

// learntOnTop extends the configuration of a model that was trained without the extension. With it the model finds the same at first,
// and then learns the parameters whose names contain part, the only ones that are drawn, by the losses' kernels and by
// LibTorch's operators alike. Their values are returned.
func learntOnTop(t *testing.T, extended func(diffusioninst.Config) diffusioninst.Config, part string) []float64 {
	t.Helper()
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "plain.safetensors")
	c := small(2)
	c.Input = diffusioninst.Input{Scale: 1}
	plain := newTrainer(t, c, Options{Rate: 1e-2, Schedule: nn.ConstantRate{}})
	steps(t, plain, 1)
	require.NoError(t, plain.Export(ctx, path, ExportOptions{}))
	snapshot, err := plain.Snapshot(ctx)
	require.NoError(t, err)
	defer snapshot.Close()

	var learnt [2][]float64
	for i, eager := range []bool{false, true} {
		start, err := OpenPretrained(ctx, path, extended(c), 1)
		require.NoError(t, err)
		require.NotEmpty(t, start.Drawn)
		for _, name := range start.Drawn {
			require.Contains(t, name, part)
		}
		tr, err := New(ctx, extended(c), start, torch.CPU, Options{Rate: 1e-3, Schedule: nn.ConstantRate{}, Float64: true, Eager: eager})
		require.NoError(t, err)
		t.Cleanup(tr.Close)
		require.NoError(t, start.Close())
		first, err := tr.Snapshot(ctx)
		require.NoError(t, err)
		require.Equal(t, segment(t, snapshot), segment(t, first), "it is not used yet")
		require.NoError(t, first.Close())
		steps(t, tr, 2)
		for _, p := range tr.store.Parameters() {
			if strings.Contains(p.Name, part) {
				learnt[i] = append(learnt[i], torch.Values[float64](p.Tensor)...)
			}
		}
		require.Positive(t, length(learnt[i]))
	}
	closetest.Slices(t, learnt[0], learnt[1], 1e-8)
	require.Len(t, learnt[1], len(learnt[0]))
	return learnt[0]
}
