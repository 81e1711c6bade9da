package torch

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/diffusioninst/go/internal/libtorch"
)

// Device is where a tensor lives. The zero value is the CPU.
type Device struct{ cuda int } // 0 is the CPU, n+1 the CUDA device n

// CPU is the main processor.
var CPU = Device{}

// CUDA is the NVIDIA GPU of an index, counted from 0.
func CUDA(index int) Device { return Device{index + 1} }

// ParseDevice reads "cpu", "cuda", "cuda:1" or "auto", which is the first CUDA
// device where there is one and the CPU otherwise. A device that this machine or
// its LibTorch does not have is an error of type *DeviceError.
func ParseDevice(name string) (Device, error) {
	kind, index, hasIndex := strings.Cut(strings.ToLower(strings.TrimSpace(name)), ":")
	switch {
	case kind == "auto" && !hasIndex:
		if CUDADevices() > 0 {
			return CUDA(0), nil
		}
		return CPU, nil
	case kind == "cpu" && !hasIndex:
		return CPU, nil
	case kind == "cuda":
		n := 0
		if hasIndex {
			var err error
			if n, err = strconv.Atoi(index); err != nil || n < 0 {
				return CPU, fmt.Errorf("torch: device %q: not a device index", name)
			}
		}
		d := CUDA(n)
		return d, d.Check()
	}
	return CPU, fmt.Errorf("torch: device %q: want cpu, cuda, cuda:N or auto", name)
}

// DeviceError says that a device was asked for that is not there.
type DeviceError struct {
	Device Device
	Have   int // number of CUDA devices that LibTorch can use
}

func (e *DeviceError) Error() string {
	if e.Have == 0 {
		return fmt.Sprintf("torch: device %v: this LibTorch (%s) finds no CUDA device", e.Device, Version())
	}
	return fmt.Sprintf("torch: device %v: there are only %d CUDA devices", e.Device, e.Have)
}

// Check returns a *DeviceError if the device is not there.
func (d Device) Check() error {
	if have := CUDADevices(); d.cuda > have {
		return &DeviceError{Device: d, Have: have}
	}
	return nil
}

// IsCUDA tells whether the device is a GPU.
func (d Device) IsCUDA() bool { return d.cuda > 0 }

// String is the device's name as ParseDevice reads it.
func (d Device) String() string {
	if d.cuda == 0 {
		return "cpu"
	}
	return fmt.Sprintf("cuda:%d", d.cuda-1)
}

// index is LibTorch's: −1 for the CPU.
func (d Device) index() int { return d.cuda - 1 }

func init() { libtorch.AllowTF32(false) }

// AllowTF32 says whether GPUs may round the factors of float32 products and convolutions
// to 10 bits of mantissa, which is faster. It holds for the whole process, from the next
// operator on, and is off to begin with.
func AllowTF32(allow bool) { libtorch.AllowTF32(allow) }

// BenchmarkCuDNN says whether GPUs try all ways to compute a convolution the first time
// that they meet its shapes, and take the fastest from then on. That pays where the same
// shapes come again and again, as crops of one size do in training. It holds for the whole
// process and is off to begin with.
func BenchmarkCuDNN(on bool) { libtorch.BenchmarkCuDNN(on) }

// CUDADevices counts the CUDA devices that LibTorch can use.
func CUDADevices() int { return libtorch.CUDADevices() }

// Version is LibTorch's version, such as "1.13.0".
func Version() string { return libtorch.Version() }
