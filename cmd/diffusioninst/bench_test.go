//go:build cgo

package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/torch"
)

func bench(t *testing.T, args ...string) (string, error) {
	t.Helper()
	config := filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml")
	return program(t, append([]string{"bench", "--weights", "untrained", "--config", config, "--device", "cpu", "--time", "1ms"}, args...)...)
}

func TestBench(t *testing.T) {
	before := torch.Live()
	text, err := bench(t, "--size", "90x70", "--steps", "1,3", "--train", "2", "--json")
	require.NoError(t, err)
	var r benchReport
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Equal(t, [3]int{90, 70, 1}, [3]int{r.Width, r.Height, r.Pictures})
	require.Len(t, r.Rows, 3)
	for i, want := range []benchRow{{What: "segment", Steps: 1, Batch: 1}, {What: "segment", Steps: 3, Batch: 1}, {What: "train", Batch: 2}} {
		got := r.Rows[i]
		require.Equal(t, want, benchRow{What: got.What, Steps: got.Steps, Batch: got.Batch})
		require.GreaterOrEqual(t, got.Runs, 3)
		require.Positive(t, got.Seconds)
		require.InEpsilon(t, 1/got.Seconds, got.Rate, 1e-9)
		require.InEpsilon(t, got.Seconds*got.Product/productFLOP, got.Products, 1e-9)
		require.Positive(t, got.Convolution)
		require.Equal(t, "float32", got.Precision)
		if got.What == "train" {
			require.Nil(t, got.Stages)
			continue
		}
		require.InEpsilon(t, float64(got.FLOP)/max(got.Product, got.Convolution)/got.Seconds, got.Floor, 1e-9)
		sum := 0.0
		for _, part := range modelParts {
			require.Contains(t, got.Stages, part)
			sum += got.Stages[part]
		}
		require.Positive(t, sum)
		require.Len(t, got.Stages, len(modelParts), "a part that the table leaves out")
	}
	// Two more steps are two more passes through the decoder, and no more of the backbone.
	require.Greater(t, r.Rows[1].FLOP, r.Rows[0].FLOP)
	require.Less(t, r.Rows[1].FLOP, 3*r.Rows[0].FLOP)

	var first map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &first))
	for _, key := range []string{
		"seconds", "stages", "peak_rss_bytes", "weights_bytes", "model_flop", "product_flop_per_second", "floor_fraction", "precision",
	} {
		require.NotZero(t, first[key], key)
	}
	require.Equal(t, before, torch.Live())

	file := filepath.Join(t.TempDir(), "a.png")
	savePNG(t, file, 1)
	text, err = bench(t, "--steps", "2", file)
	require.NoError(t, err)
	require.Contains(t, text, "120×90 pixels")
	require.Regexp(t, `(?m)^segment, 2 steps +[\d.e+]+ `, text)
}

func TestBenchRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"--size 90":     {"--size", "90"},
		"--size 90x70x": {"--size", "90x70x"},
		"--size 90x0":   {"--size", "90x0"},
		"--steps 0":     {"--steps", "1,0"},
		"--train -1":    {"--train", "-1"},
		"--time 0s":     {"--time", "0s"},
		"none.png":      {"none.png"},
	} {
		_, err := bench(t, args...)
		require.ErrorContains(t, err, want)
	}
}

// On a GPU parts are also timed by its clock. It runs on a GPU, or else on the fake one.
func TestBenchOnAGPU(t *testing.T) {
	if torch.CUDADevices() == 0 {
		require.False(t, fakecuda.Inside())
		fakecuda.Run(t, fakecuda.Build(t), "^TestBenchOnAGPU$")
		return
	}
	text, err := bench(t, "--device", "cuda", "--size", "64x48", "--steps", "2", "--batch", "2", "--json")
	require.NoError(t, err)
	var r benchReport
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Len(t, r.DeviceStages, len(gpuParts))
	for _, part := range gpuParts {
		require.Positive(t, r.DeviceStages[part], part)
	}
	text, err = bench(t, "--device", "cuda", "--size", "64x48", "--steps", "1")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^  on the GPU: input .*s, backbone .*s, .* decoder .*s, masks .*s$`, text)
}
