//go:build cgo

package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/libtorchenv"
)

func TestDoctorSaysWhatIsSlow(t *testing.T) {
	fast := machineSpeed{peak: 200e9, convolution: 140e9, linear: 120e9, blas: 110e9, core: "SkylakeX", processors: 1.9, threads: 2}
	none := func(string) string { return "" }
	c := fast.check(none)
	require.Equal(t, libtorchenv.OK, c.State)
	require.Empty(t, c.Fix)
	require.Contains(t, c.Detail, "200 GFLOP/s")
	require.Contains(t, c.Detail, "70 %")

	m := fast
	m.blas, m.core = 26e9, "Prescott"
	c = m.check(none)
	require.Equal(t, libtorchenv.Warning, c.State)
	require.Contains(t, c.Detail, "Prescott")
	require.Contains(t, c.Detail, "segmenting is not")
	require.Contains(t, c.Fix, "libopenblas0-openmp")
	set := func(name string) string {
		return map[string]string{"OPENBLAS_CORETYPE": "PRESCOTT", "DNNL_MAX_CPU_ISA": "SSE41"}[name]
	}
	require.Equal(t, "unset OPENBLAS_CORETYPE, which is PRESCOTT", m.check(set).Fix)

	m = fast
	m.convolution = 30e9
	require.Contains(t, m.check(none).Detail, "segmenting is slow")
	require.Equal(t, "unset DNNL_MAX_CPU_ISA, which is SSE41", m.check(set).Fix)

	m = fast
	m.processors = 1
	c = m.check(none)
	require.Contains(t, c.Detail, "2 threads got only 1.0 processors")
	require.NotEmpty(t, c.Fix)
}

func TestDoctorMeasuresTheSpeed(t *testing.T) {
	m, err := measureSpeed(t.Context())
	require.NoError(t, err)
	require.Positive(t, min(m.peak, m.convolution, m.linear, m.blas, m.processors))
	require.GreaterOrEqual(t, m.threads, 1)
}
