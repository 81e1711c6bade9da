package torch

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckPrecision(t *testing.T) {
	before := Live()
	require.NoError(t, CPU.CheckPrecision(context.Background(), Float32))
	require.NoError(t, CPU.CheckPrecision(context.Background(), Float64))
	err := CPU.CheckPrecision(context.Background(), Bool)
	require.ErrorContains(t, err, "no convolutions in bool on cpu")
	var e *Error
	require.ErrorAs(t, err, &e)
	var missing *DeviceError
	require.ErrorAs(t, CUDA(99).CheckPrecision(context.Background(), Float32), &missing)
	require.Equal(t, before, Live())
}
