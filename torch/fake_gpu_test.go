package torch_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/torch"
)

// What tests of this package do on a GPU they also do on a fake one.
func TestOnAFakeGPU(t *testing.T) {
	if fakecuda.Inside() {
		t.Skip("is on one")
	}
	env := fakecuda.Build(t)
	fakecuda.Run(t, env, "^TestCompilingHoldsUpNobody$")
	fakecuda.Run(t, env, "^(TestBatchNormTrainingOfAGroupOnAGPU|TestBuckets|TestDownload|TestEvents|TestNMSRows)$")
}

// While one worker compiles a kernel, another one starts kernels that are there.
func TestCompilingHoldsUpNobody(t *testing.T) {
	if !fakecuda.Inside() {
		t.Skip("TestOnAFakeGPU runs it on the fake one")
	}
	require.True(t, torch.SetWorkers(2))
	known := func() error {
		return torch.Do(context.Background(), func(s *torch.Scope) error {
			s.Zeros(torch.F32(torch.CUDA(0)), 1, 1, 3, 7).NMSRows(0, 0.5, false)
			return nil
		})
	}
	require.NoError(t, known())
	done := filepath.Join(t.TempDir(), "done")
	t.Setenv("FAKE_NVRTC_WAITS", done)
	compiled := make(chan error, 1)
	go func() {
		compiled <- torch.Do(context.Background(), func(s *torch.Scope) error {
			s.Zeros(torch.F32(torch.CUDA(0)), 1, 2, 24).Attention(2)
			return nil
		})
	}()
	compiles := func() bool {
		log, err := os.ReadFile(os.Getenv("FAKE_CUDA_LOG"))
		return err == nil && strings.Contains(string(log), "compile attention.cu")
	}
	require.Eventually(t, compiles, time.Minute, time.Millisecond)
	started := make(chan error, 1)
	go func() { started <- known() }()
	select {
	case err := <-started:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Error("a kernel that is there waits for another one to be compiled")
	}
	require.NoError(t, os.WriteFile(done, nil, 0o600))
	require.NoError(t, <-compiled)
}
