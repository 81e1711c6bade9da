//go:build unix

package processes

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/fakecuda"
	"github.com/diffusioninst/go/torch"
)

// addOnGPUs adds up gradients some number of times, and prints the last ones.
func addOnGPUs(ctx context.Context, g *Group, times int) error {
	connected, err := g.OpenDevice(ctx, torch.CUDA(0))
	if err != nil {
		return err
	}
	if !connected {
		fmt.Println("not connected")
		return nil
	}
	if again, err := g.OpenDevice(ctx, torch.CUDA(0)); !again || err != nil {
		return fmt.Errorf("the second time: %v, %w", again, err)
	}
	return torch.Do(ctx, func(s *torch.Scope) error {
		on := torch.Options{DType: torch.Float32, Device: torch.CUDA(0)}
		small, large := s.Full(float64(g.Rank())+0.1, on, 3, 1).SetRequiresGrad(true), s.Full(float64(g.Rank()+1), on, 700, 1000).SetRequiresGrad(true)
		b := torch.NewBuckets([]*torch.Tensor{small, large}, 1<<20, g.SumDevice)
		defer b.Close()
		for i := range times {
			b.Arm()
			torch.WithGrad(func() { small.Mul(small).Sum().Add(large.Mul(large).Sum()).Backward() })
			b.Rest()
			if err := g.AwaitDevice(ctx, b.Done); err != nil {
				return err
			}
			b.Store([]int{0, 1})
			if i == 0 {
				n := float64(g.Size())
				for _, v := range torch.Values[float32](large.Grad(s)) {
					if float64(v) != n*(n+1) {
						return fmt.Errorf("a sum is %v", v)
					}
				}
				fmt.Println("joined", torch.Values[float32](small.Grad(s)))
			}
			small.ClearGrad()
			large.ClearGrad()
		}
		return nil
	})
}

// One GPU alone adds up over the whole path: the library, a communicator, a sum, its end, and an abort.
func TestNCCLOnOneGPU(t *testing.T) {
	if torch.CUDADevices() == 0 {
		t.Skip("no GPU here")
	}
	ctx := context.Background()
	alone := func() *Group {
		g, err := Join(ctx, Plan{Size: 1}, Options{})
		require.NoError(t, err)
		return g
	}
	g := alone()
	connected, err := g.OpenDevice(ctx, torch.CUDA(0))
	require.NoError(t, err)
	if !connected {
		t.Skip("no NCCL here")
	}
	require.NoError(t, addOnGPUs(ctx, g, 3))
	_, err = g.OpenDevice(ctx, torch.CPU)
	require.ErrorContains(t, err, "is not a GPU")
	g.Close()
	require.ErrorContains(t, g.SumDevice(torch.Bucket{}), "closed")

	g = alone()
	_, err = g.OpenDevice(ctx, torch.CUDA(0))
	require.NoError(t, err)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, g.AwaitDevice(gone, func() bool { return false }), context.Canceled)
	<-g.device.stopped // it has been aborted
	require.ErrorIs(t, g.AwaitDevice(ctx, func() bool { return true }), context.Canceled)
	g.Close()
}

// fakeGPUs returns the environment of processes that find a fake GPU and a fake NCCL.
func fakeGPUs(t *testing.T, options ...string) []string {
	t.Helper()
	env := fakecuda.Build(t)
	fakecuda.BuildNCCL(t, env, options...)
	return append(env, "TMPDIR="+t.TempDir())
}

func TestSumsOnGPUs(t *testing.T) {
	if fakecuda.Inside() {
		t.Skip("is on one")
	}
	env := fakeGPUs(t)
	fakecuda.Run(t, env, "^TestNCCLOnOneGPU$")
	for _, size := range []int{1, 2, 3} {
		all := start(t, "gpus", size, true, time.Minute, env...)
		for _, c := range all {
			require.Zero(t, c.Wait(), c.Output())
			require.Contains(t, c.Output(), "joined")
			require.Equal(t, all[0].Output(), c.Output(), "all ranks are bit-identical")
		}
	}
	for _, c := range []struct{ variable, why string }{
		{"DIFFUSIONINST_NCCL=", "DIFFUSIONINST_NCCL is empty"}, {"DIFFUSIONINST_NCCL=/nowhere", "there is no NCCL: /nowhere"},
		{"FAKE_CUDA_SHARED=1", "ranks 0 and 1 use one GPU"},
	} {
		all := start(t, "gpus", 2, true, time.Minute, append(env, c.variable)...)
		for r, p := range all {
			require.Zero(t, p.Wait(), p.Output())
			require.Contains(t, p.Output(), "not connected")
			require.Equal(t, r == 0, strings.Contains(p.Output(), c.why), p.Output())
		}
	}
	old := func(env []string, why string) {
		for _, p := range start(t, "gpus", 2, true, time.Minute, env...) {
			require.Equal(t, 1, p.Wait(), p.Output())
			require.Contains(t, p.Output(), why)
		}
	}
	old(append(env, "FAKE_NCCL=old"), "rank 0: libnccl.so.2 is of version 2307: want 2.4 (2400) or later")
	old(fakeGPUs(t, "-DWITHOUT_ABORT"), "rank 0: libnccl.so.2 lacks the function ncclCommAbort")
}

// Whatever NCCL does wrong in one process, all end and name it.
func TestGPUsThatFail(t *testing.T) {
	if fakecuda.Inside() {
		t.Skip("is on one")
	}
	env := fakeGPUs(t)
	for _, c := range []struct{ fault, what string }{
		{"init", "connect cuda:0 over NCCL: NCCL: join: unhandled system error (fake NCCL)"},
		{"enqueue", "sum on cuda:0: NCCL: sum: internal error (fake NCCL)"},
		{"async", "sum on cuda:0: NCCL: in the background: remote process exited or there was a network error (fake NCCL)"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			begin := time.Now()
			for _, p := range start(t, "gpus", 3, true, time.Minute, append(env, "FAKE_NCCL="+c.fault, "FAKE_NCCL_RANK=1")...) {
				require.Equal(t, 1, p.Wait(), p.Output())
				require.Contains(t, p.Output(), "rank 1: "+c.what)
			}
			t.Logf("all ended after %v", time.Since(begin).Round(10*time.Millisecond))
		})
	}
	const timeout = 20 * time.Second // the start on a busy machine included
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stands still": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			all := start(t, "gpus forever", 3, true, timeout, env...)
			for _, p := range all {
				p.WaitFor(t, "joined")
			}
			begin := time.Now()
			all[1].Signal(signal)
			late := 0
			for _, r := range []int{0, 2} {
				require.Equal(t, 1, all[r].Wait(), all[r].Output())
				require.Contains(t, all[r].Output(), "rank 1 is lost")
				if strings.Contains(all[r].Output(), "no end after 20s") {
					late++
				} else { // on a busy machine it hears of the other's end first
					require.Contains(t, all[r].Output(), "another process has failed")
				}
			}
			require.Positive(t, late)
			t.Logf("all ended after %v", time.Since(begin).Round(10*time.Millisecond))
			all[1].Kill()
			all[1].Wait()
		})
	}
}
