package checkpoint

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFinite(t *testing.T) {
	special := map[DType][]uint64{ // infinities, NaN; the largest numbers, zeros, subnormals
		Float64:  {0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000001, 0xfff0000000000001, 0x7fefffffffffffff, 0xffefffffffffffff, 0, 1 << 63, 1},
		Float32:  {0x7f800000, 0xff800000, 0x7fc00000, 0xff800001, 0x7f7fffff, 0xff7fffff, 0, 1 << 31, 1},
		Float16:  {0x7c00, 0xfc00, 0x7e00, 0xfc01, 0x7bff, 0xfbff, 0, 1 << 15, 1},
		BFloat16: {0x7f80, 0xff80, 0x7fc0, 0xff81, 0x7f7f, 0xff7f, 0, 1 << 15, 1},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for d, values := range special {
		size := d.Size()
		element := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:size] }
		for i, v := range values {
			for length := 1; length <= 19; length++ {
				data := make([]byte, 0, length*size)
				for range length {
					data = append(data, element(values[4+rng.IntN(5)])...)
				}
				require.True(t, Finite(data, d), "%v", d)
				copy(data[rng.IntN(length)*size:], element(v))
				require.Equal(t, i >= 4, Finite(data, d), "%v %#x among %d", d, v, length)
			}
		}
	}
	for range 20000 {
		data := binary.LittleEndian.AppendUint64(nil, rng.Uint64())
		for _, d := range []DType{Float32, Float16, BFloat16} {
			want, values := true, make([]float32, 8/d.Size())
			toFloat32(values, data, d)
			for _, v := range values {
				want = want && !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
			}
			require.Equal(t, want, Finite(data, d), "%v % x", d, data)
		}
	}
	require.True(t, Finite(nil, Float32))
	require.True(t, Finite([]byte{0xff, 0xff, 0xff, 0xff}, Int32), "integers are finite")
}
