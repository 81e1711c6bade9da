package train

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

func TestStepsThatNeedTooMuchAreRefused(t *testing.T) {
	c, err := diffusioninst.ResNet50COCO().WithDefaults()
	require.NoError(t, err)
	batch := func(n, w, h int) []data.Sample {
		out := make([]data.Sample, n)
		for i := range out {
			out[i] = data.Sample{Width: w, Height: h}
		}
		return out
	}
	require.NoError(t, checkMemory(c, mostBytes, batch(16, 1333, 800)), "the paper's batch")
	for _, samples := range [][]data.Sample{batch(1<<16, 192, 192), batch(1, 65536, 65536), batch(2, 1<<40, 1<<40)} {
		var e *LimitError
		require.ErrorAs(t, checkMemory(c, mostBytes, samples), &e)
		require.Greater(t, e.Bytes, e.Limit)
		require.Equal(t, len(samples), e.Pictures)
		require.NoError(t, checkMemory(c, 0, samples), "no limit")
	}

	// Proposals that no batch can have are refused before the network is built.
	many := diffusioninst.ResNet50COCO()
	many.Proposals = 20_000
	var e *LimitError
	_, err = New(context.Background(), many, nn.FromSeed(0), torch.CPU, Options{})
	require.ErrorAs(t, err, &e)
	require.ErrorContains(t, err, "20000 proposals needs about")
	_, err = New(context.Background(), many, nn.FromSeed(0), torch.CPU, Options{MaxBytes: 1 << 20})
	require.ErrorAs(t, err, &e)
	_, err = New(context.Background(), diffusioninst.ResNet50COCO(), nn.FromSeed(0), torch.CPU, Options{Replicas: 1 << 40})
	require.ErrorContains(t, err, "replicas")
}

func TestMaxBytesWithin(t *testing.T) {
	require.EqualValues(t, mostBytes, maxBytesWithin(0), "no limit")
	require.EqualValues(t, mostBytes, maxBytesWithin(1<<40))
	require.EqualValues(t, 4<<30, maxBytesWithin(4<<30), "a container's")
}
