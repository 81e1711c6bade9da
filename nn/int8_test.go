package nn

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

// blocks are two convolutions and the sum of a residual block, a map that stays exact, and what they make of x.
func blocks(p Path, channels int) func(x *torch.Tensor) *torch.Tensor {
	o := ConvOptions{Kernel: 3, Bias: true, ReLU: true}
	first := NewConv2d(p.Sub("first"), channels, channels, o)
	second := NewConv2d(p.Sub("second"), channels, channels, ConvOptions{Kernel: 3, Norm: BatchNorm})
	last := NewConv2d(p.Exact().Sub("last"), channels, 4, ConvOptions{})
	return func(x *torch.Tensor) *torch.Tensor {
		y := first.ForwardInto(x, second)
		if second.Fuses() {
			y = second.ForwardAdd(y, x)
		} else {
			y = second.Forward(y).AddInPlace(x).ReluInPlace()
		}
		return last.Forward(y)
	}
}

// runBlocks returns what blocks make of a tensor with options, and the size of the store.
func runBlocks(t *testing.T, o StoreOptions, channels int) (y []float32, elements, bytes int64, err error) {
	t.Helper()
	o.Inference = true
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		st := NewStore(FromSeed(5), o)
		defer st.Close()
		forward := blocks(st.Root().Sub("net"), channels)
		if err = st.Err(); err == nil {
			y = torch.Values[float32](forward(s.Randn(torch.NewGenerator(2), torch.Float32, 1, channels, 24, 30).ChannelsLast()))
		}
		elements, bytes = st.Elements(), st.Bytes()
		return nil
	}))
	return y, elements, bytes, err
}

func TestInt8Convolutions(t *testing.T) {
	if !torch.HasInt8() {
		t.Skip("no convolutions of 8-bit numbers here")
	}
	const channels = 64
	before := torch.Live()
	calibrator := &Calibrator{}
	exact, elements, bytes, err := runBlocks(t, StoreOptions{Calibrator: calibrator}, channels)
	require.NoError(t, err)
	ranges := calibrator.Calibration()
	require.Len(t, ranges, 2, "the last one is exact")
	for _, path := range []string{"net.first", "net.second"} {
		require.NoError(t, Calibration{path: ranges[path]}.Check())
		require.Positive(t, ranges[path].Out[1])
	}
	require.Negative(t, ranges["net.second"].Out[0])
	require.Zero(t, ranges["net.second"].In[0], "after a ReLU")
	plain, _, _, err := runBlocks(t, StoreOptions{}, channels)
	require.NoError(t, err)
	require.Less(t, worst(exact, plain), 1e-5, "a calibrator changes nothing but how it is computed")

	got, have, size, err := runBlocks(t, StoreOptions{Int8: ranges}, channels)
	require.NoError(t, err)
	require.Less(t, worst(got, plain), 0.03)
	require.NotEqual(t, plain, got, "not computed in 8 bits")
	require.Equal(t, elements, have)
	require.Less(t, float64(size), 0.3*float64(bytes))

	ranges["net.third"] = ranges["net.first"]
	_, _, _, err = runBlocks(t, StoreOptions{Int8: ranges}, channels)
	require.ErrorContains(t, err, "net.third (an int8 range)")

	delete(ranges, "net.second")
	_, _, _, err = runBlocks(t, StoreOptions{Int8: ranges}, channels)
	require.ErrorContains(t, err, "net.second")
	require.ErrorIs(t, err, errNotCalibrated)
	require.Equal(t, before, torch.Live())
}

// worst is the greatest difference as a part of the greatest number.
func worst(got, want []float32) float64 {
	far, most := 0.0, 0.0
	for i, v := range want {
		far, most = max(far, math.Abs(float64(got[i]-v))), max(most, math.Abs(float64(v)))
	}
	return far / most
}

func TestCalibrationsAreChecked(t *testing.T) {
	require.NoError(t, Calibration{"a": {In: Range{-1, 2}, Out: Range{0, 0}}}.Check())
	for _, r := range []Range{{1, 0}, {math.NaN(), 1}, {0, math.Inf(1)}, {math.Inf(-1), 0}, {0, 1e31}} {
		require.ErrorContains(t, Calibration{"a": {Out: r}}.Check(), "the int8 range of a is")
		require.Error(t, Calibration{"a": {In: r}}.Check())
	}

	var c Calibration
	require.NoError(t, json.Unmarshal([]byte(`{"a":{"In":[0,1.5],"Out":[-2,3]}}`), &c))
	require.Equal(t, Calibration{"a": {Range{0, 1.5}, Range{-2, 3}}}, c)
	for _, text := range []string{`{"In":[0,1]}`, `{"In":[0,1],"Out":[1]}`, `{"In":[0,1],"Out":[1,2,3]}`, `{"In":[0,1],"Out":[0,1],"x":1}`, `{"In":0,"Out":[0,1]}`, `{}`} {
		require.Error(t, json.Unmarshal([]byte(`{"a":`+text+`}`), &c), text)
	}
}
