//go:build cgo

package main

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"time"

	"github.com/diffusioninst/go/torch"
)

// measure runs do once to warm up, and then at least three times and for the time least. It
// returns the times of these.
func measure(ctx context.Context, least time.Duration, do func(i int) error) ([]time.Duration, error) {
	if err := do(0); err != nil {
		return nil, err
	}
	var times []time.Duration
	for begin := time.Now(); len(times) < 3 || time.Since(begin) < least; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := do(len(times)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
	return times, nil
}

// The matrix product that times are compared with is (512×2048)·(2048×2048) in float32.
const (
	productRows, productSide = 512, 2048
	productFLOP              = 2 * productRows * productSide * productSide
)

// matrixProduct returns the time of one such product, the best of three rounds of at least
// 20 ms each.
func matrixProduct(ctx context.Context, device torch.Device) (time.Duration, error) {
	best := time.Duration(1<<63 - 1)
	err := torch.Do(ctx, func(s *torch.Scope) error {
		g := torch.NewGenerator(1)
		x := s.Randn(g, torch.Float32, productRows, productSide).To(device)
		y := s.Randn(g, torch.Float32, productSide, productSide).To(device)
		products := func(n int) time.Duration {
			mark := s.Mark()
			defer s.Release(mark)
			start := time.Now()
			var z *torch.Tensor
			for range n {
				z = x.Matmul(y)
			}
			z.Select(0, 0).Select(0, 0).Item() // waits for the device
			return time.Since(start)
		}
		n := 1
		for products(n) < 20*time.Millisecond && n < 1<<12 {
			n *= 2
		}
		for range 3 {
			best = min(best, products(n)/time.Duration(n))
		}
		return nil
	})
	return best, err
}

// resetPeakMemory makes peakMemory count from now if the system supports that; otherwise it
// counts from the program's start.
func resetPeakMemory() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakMemory returns the largest resident memory of this process in bytes, or 0 if the system
// does not say.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(text, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
