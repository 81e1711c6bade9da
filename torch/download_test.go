package torch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDownload(t *testing.T) {
	for _, device := range devices() {
		inDo(t, func(s *Scope) {
			bytes, empty, numbers, halves := []uint8{1, 2, 3}, []int64{}, []int64{-1, 1 << 40}, []float64{0.5, -2, 3, 4, 5, 6}
			up := s.Upload(device, ArrayOf(bytes), ArrayOf(empty, 0, 4), ArrayOf(numbers, 2, 1), ArrayOf(halves, 2, 3))
			up = append(up, up[3].Narrow(1, 1, 1), up[3].Select(0, 1).Select(0, 0)) // not in a row, a scalar
			var got []Array
			copies := Count(func() { got = Download(up...) })
			if device.IsCUDA() {
				require.Equal(t, int64(1), copies.Waits)
			}
			require.Equal(t, bytes, ArrayValues[uint8](got[0]))
			require.Equal(t, []int{0, 4}, got[1].shape)
			require.Equal(t, empty, ArrayValues[int64](got[1]))
			require.Equal(t, numbers, ArrayValues[int64](got[2]))
			require.Equal(t, halves, ArrayValues[float64](got[3]))
			require.Equal(t, []float64{-2, 5}, ArrayValues[float64](got[4]))
			require.Equal(t, []float64{4}, ArrayValues[float64](got[5]))
			require.Equal(t, numbers, ArrayValues[int64](Download(up[2])[0]))
			require.Panics(t, func() { ArrayValues[int32](got[2]) })
		})
	}
	require.Empty(t, Download())
}
