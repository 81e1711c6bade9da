package diffusioninst

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// calibrated is a configuration with ranges from one picture.
func calibrated(t *testing.T, config Config) Config {
	t.Helper()
	calibrator := &nn.Calibrator{}
	m, err := LoadSource(t.Context(), nn.FromSeed(1), LoadOptions{Config: &config, Calibrator: calibrator})
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Segment(t.Context(), pattern(90, 70), all)
	require.NoError(t, err)
	config.Int8 = calibrator.Calibration()
	return config
}

func TestInt8Model(t *testing.T) {
	if !torch.HasInt8() {
		t.Skip("no convolutions of 8-bit numbers here")
	}
	config := calibrated(t, small())
	text, err := json.Marshal(config)
	require.NoError(t, err)
	var read Config
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, config.Int8, read.Int8)

	load := func(p Precision) *Model {
		m, err := LoadSource(t.Context(), nn.FromSeed(1), LoadOptions{Config: &read, Precision: p})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		return m
	}
	exact, low := load(PrecisionFloat32), load(PrecisionInt8)
	require.Equal(t, PrecisionInt8, low.Precision())
	require.Equal(t, exact.Parameters(), low.Parameters())
	require.Less(t, low.Bytes(), exact.Bytes())

	want, err := exact.Segment(t.Context(), pattern(90, 70), all)
	require.NoError(t, err)
	got, err := low.Segment(t.Context(), pattern(90, 70), all)
	require.NoError(t, err)
	require.NotEqual(t, want.Instances[0].Score, got.Instances[0].Score, "not computed in 8 bits")
	require.InDelta(t, want.Instances[0].Score, got.Instances[0].Score, 0.05)
	require.NotEqual(t, PrecisionInt8, load(PrecisionAuto).Precision(), "only who asks gets it")
}

func TestInt8NeedsRanges(t *testing.T) {
	defer func(f func() bool) { hasInt8 = f }(hasInt8)
	config, wrong := small(), small()
	wrong.Int8 = nn.Calibration{"backbone.x": {In: nn.Range{1, 0}}}
	for _, c := range []struct {
		want string
		has  bool
		o    LoadOptions
	}{
		{"it is for processors with AVX512-VNNI", false, LoadOptions{Config: &config, Precision: PrecisionInt8}},
		{"the model has no ranges for it (Config.Int8): diffusioninst quantize finds them", true, LoadOptions{Config: &config, Precision: PrecisionInt8}},
		{"the int8 range of backbone.x is from 1 to 0", true, LoadOptions{Config: &wrong}},
		{"a calibrator for a model in int8", true, LoadOptions{Config: &config, Precision: PrecisionInt8, Calibrator: &nn.Calibrator{}}},
	} {
		hasInt8 = func() bool { return c.has }
		_, err := LoadSource(t.Context(), nn.FromSeed(1), c.o)
		require.ErrorContains(t, err, c.want)
		var e *ConfigError
		require.ErrorAs(t, err, &e)
	}
}
