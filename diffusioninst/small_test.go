package diffusioninst

import (
	"context"
	"image"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/maskhead"
	"github.com/diffusioninst/go/torch"
)

// small is a configuration that runs in milliseconds.
func small() Config {
	return Config{
		Backbone:   backbone.ResNetFPN{Channels: 16, ResNet: backbone.ResNet{Depth: 18, StemChannels: 8, Res2Channels: 8, Width: 8}},
		Decoder:    decoder.Config{Dynamic: 4, FeedForward: 32, Heads: 2, Hidden: 16, Stages: 2},
		MaskBranch: maskhead.BranchConfig{Width: 8},
		Classes:    []string{"circle", "square"},
		Proposals:  30,
		Input:      Input{Short: 64, Longest: 128},
	}
}

// smallModel is an untrained model that is closed with the test, after which no
// tensor may be left.
func smallModel(t testing.TB) *Model {
	t.Helper()
	before := torch.Live()
	m, err := New(context.Background(), small(), 1, torch.CPU)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		require.Equal(t, before, torch.Live(), "tensors left behind")
	})
	return m
}

// pattern is a picture with some structure.
func pattern(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(3 * x), uint8(5 * y), uint8(x * y), 255})
		}
	}
	return img
}

// all asks for every candidate, as an untrained model scores low.
var all = Options{Score: -1}

// wholeView is the view of a whole picture of a size, as the network sees it in pixels.
func wholeView(size image.Point, p Pixels) view {
	const far = 1 << 30
	return view{
		size: size, part: image.Rectangle{Max: size}, core: Box{X1: -far, Y1: -far, X2: far, Y2: far},
		width: p.Width, height: p.Height,
	}
}

// testPass is a pass of one picture through a model.
func testPass(t testing.TB, m *Model, img image.Image, o Options) *pass {
	t.Helper()
	settings, err := o.resolve(m.config)
	require.NoError(t, err)
	q, err := newRequest(settings, []image.Image{img})
	require.NoError(t, err)
	require.Len(t, q.passes, 1)
	read, err := q.passes[0][0].read(img)
	require.NoError(t, err)
	return &pass{settings: settings, model: m, views: q.passes[0], pixels: []Pixels{read}, alone: true}
}
