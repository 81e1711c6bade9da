package diffusioninst

import (
	"context"
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// tensorOf returns pictures of one size as a tensor of SegmentTensor, closed with the test.
func tensorOf(t *testing.T, device torch.Device, pictures ...image.Image) *torch.Tensor {
	t.Helper()
	var out *torch.Tensor
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		var rgb []uint8
		size := pictures[0].Bounds().Size()
		for _, p := range pictures {
			rgb = append(rgb, picture.RGB(p)...)
		}
		out = torch.From(s, rgb, len(pictures), size.Y, size.X, 3).To(device).Keep()
		return nil
	}))
	t.Cleanup(out.Close)
	return out
}

// What is on the device is segmented as what comes from the host is, to the bit where nothing is resized.
func TestSegmentTensor(t *testing.T) {
	m, ctx := smallModel(t), context.Background()
	a, b := pattern(96, 64), pattern(64, 96)
	for _, o := range []Options{
		{Seed: 3}, {Scale: 1, Augment: Augment{Flip: true}}, {Scale: 1, Tile: 48, Steps: 2},
	} {
		o.Score = -1
		for _, pictures := range [][]image.Image{{a}, {b, b}} {
			want, err := m.SegmentBatch(ctx, pictures, o)
			require.NoError(t, err)
			got, err := m.SegmentTensor(ctx, tensorOf(t, torch.CPU, pictures...), o)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	got, err := m.SegmentTensor(ctx, tensorOf(t, torch.CPU, pattern(200, 150), pattern(200, 150)), all)
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, 200, got[1].Width)
}

// Resizing on the device is that of the host but for samples that lie between two whole numbers.
func TestResizeTensor(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ w, h, width, height int }{{90, 70, 45, 35}, {90, 70, 64, 50}, {40, 30, 100, 61}, {50, 40, 50, 81}, {33, 57, 80, 57}} {
		rgb := make([]uint8, 3*c.w*c.h)
		for i := range rgb {
			rgb[i] = uint8(random.Uint32())
		}
		want := picture.Resize(rgb, c.w, c.h, c.width, c.height)
		require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
			got := torch.Values[float32](resizeTensor(torch.From(s, rgb, 1, c.h, c.w, 3), c.width, c.height))
			require.Len(t, got, len(want))
			different := 0
			for i, v := range want {
				d := math.Abs(float64(got[i]) - float64(v))
				require.LessOrEqual(t, d, 1.0)
				if d > 0 {
					different++
				}
			}
			require.Less(t, different, len(want)/20, "sizes of small ratios give many halves")
			return nil
		}))
	}
}

func TestSegmentTensorRefuses(t *testing.T) {
	m, ctx := smallModel(t), context.Background()
	good := tensorOf(t, torch.CPU, pattern(64, 64))
	var broken *ImageError
	_, err := m.SegmentTensor(ctx, nil, all)
	require.ErrorAs(t, err, &broken)
	var float, flat *torch.Tensor
	require.NoError(t, torch.Do(ctx, func(s *torch.Scope) error {
		float, flat = s.Adopt(good).ToDType(torch.Float32).Keep(), s.Adopt(good).Select(0, 0).Keep()
		return nil
	}))
	t.Cleanup(float.Close)
	t.Cleanup(flat.Close)
	for _, wrong := range []*torch.Tensor{float, flat} {
		_, err = m.SegmentTensor(ctx, wrong, all)
		require.ErrorAs(t, err, &broken)
		require.ErrorContains(t, err, "is not uint8 (B,H,W,3)")
	}
	var option *OptionError
	_, err = m.SegmentTensor(ctx, good, Options{Normalize: "1,99"})
	require.ErrorAs(t, err, &option)
	require.Equal(t, "Normalize", option.Option)
	_, err = m.SegmentTensor(ctx, good, all)
	require.NoError(t, err)
}
