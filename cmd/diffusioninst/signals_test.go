package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
)

func TestAwait(t *testing.T) {
	leak.Check(t)
	lost := errors.New("lost")
	ctx, cancel := context.WithCancel(context.Background())
	n, err := await(ctx, func() (int, error) { return 7, lost })
	require.Equal(t, 7, n)
	require.ErrorIs(t, err, lost)
	require.PanicsWithValue(t, lost, func() {
		_, _ = await(ctx, func() (int, error) { panic(lost) })
	})
	end := make(chan struct{})
	_, err = await(ctx, func() (int, error) { cancel(); <-end; return 0, nil })
	require.ErrorIs(t, err, context.Canceled)
	close(end)
	_, err = await(ctx, func() (int, error) { t.Error("begun"); return 0, nil })
	require.ErrorIs(t, err, context.Canceled)
}

func TestSignalsAreReleased(t *testing.T) {
	leak.Check(t)
	ctx, release := withSignals(context.Background())
	require.NoError(t, ctx.Err())
	release()
}
