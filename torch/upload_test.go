package torch

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUpload(t *testing.T) {
	for _, device := range devices() {
		inDo(t, func(s *Scope) {
			bytes, empty, numbers, halves := []uint8{1, 2, 3}, []int64{}, []int64{-1, 1 << 40}, []float64{0.5, -2, 3, 4, 5, 6}
			got := s.Upload(device, ArrayOf(bytes), ArrayOf(empty, 0, 4), ArrayOf(numbers, 2, 1), ArrayOf(halves, 2, 3))
			require.Equal(t, bytes, Values[uint8](got[0]))
			require.Equal(t, []int{0, 4}, got[1].Shape())
			require.Equal(t, Int64, got[1].DType())
			require.Equal(t, numbers, Values[int64](got[2]))
			require.Equal(t, []int{2, 1}, got[2].Shape())
			require.Equal(t, halves, Values[float64](got[3]))
			require.Equal(t, []int{2, 3}, got[3].Shape())
			for _, x := range got {
				require.Equal(t, device, x.Device())
			}
			require.Equal(t, numbers, Values[int64](s.Upload(device, ArrayOf(numbers))[0]))
		})
	}
}
