//go:build cgo

package main

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

func init() {
	libTorchVersion = torch.Version
	liveCheck = func() (string, error) {
		devices := []torch.Device{torch.CPU}
		for i := range torch.CUDADevices() {
			devices = append(devices, torch.CUDA(i))
		}
		for _, d := range devices {
			if err := tryDevice(d); err != nil {
				return "", fmt.Errorf("%v: %w", d, err)
			}
		}
		text := fmt.Sprintf("LibTorch %s works on the CPU", torch.Version())
		if n := torch.CUDADevices(); n > 0 {
			text += " and on " + counted(n, "CUDA device")
		}
		return text, nil
	}
}

// tryDevice computes known values with LibTorch and with a kernel of this module, which a GPU
// compiles first.
func tryDevice(d torch.Device) error {
	return torch.Do(context.Background(), func(s *torch.Scope) error {
		x := s.Full(2, torch.F32(d), 64, 64)
		if sum := x.Matmul(x).Sum().Item(); sum != 64*64*64*4 {
			return fmt.Errorf("a matrix product gave %v, which is wrong", sum)
		}
		box := torch.From(s, []float32{8, 8, 24, 24}, 1, 4).To(d)
		first := s.Zeros(torch.Options{DType: torch.Int64, Device: d}, 1)
		pooled := torch.RoIAlign([]*torch.Tensor{x.Reshape(1, 1, 64, 64)}, box, first, first,
			torch.RoIAlignConfig{Scales: []float64{1}, Bins: 2, Samples: 2})
		if mean := pooled.Mean().Item(); mean != 2 {
			return fmt.Errorf("RoIAlign of twos gave a mean of %v", mean)
		}
		return nil
	})
}
