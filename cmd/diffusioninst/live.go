//go:build cgo

package main

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

func init() {
	liveCheck = func() (string, error) {
		var sum float64
		err := torch.Do(context.Background(), func(s *torch.Scope) error {
			x := s.Full(2, torch.F32(torch.CPU), 64, 64)
			sum = x.Matmul(x).Sum().Item()
			return nil
		})
		if err == nil && sum != 64*64*64*4 {
			err = fmt.Errorf("a matrix product came out as %v", sum)
		}
		return fmt.Sprintf("LibTorch %s works, %d CUDA devices", torch.Version(), torch.CUDADevices()), err
	}
}
