package torch

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A Device is where a tensor lives. The zero value is the CPU.
type Device struct{ cuda int } // 0 is the CPU, n+1 the CUDA device n

// CPU is the device of main memory and processor.
var CPU = Device{}

// CUDA returns the NVIDIA GPU with an index, counted from 0.
func CUDA(index int) Device { return Device{index + 1} }

// ParseDevice reads "cpu", "cuda", "cuda:1" or "auto", which is the first CUDA
// device if there is one and the CPU otherwise. A device that this machine or
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

// A DeviceError says that a device was asked for that is not there.
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

// IsCUDA reports whether the device is a GPU.
func (d Device) IsCUDA() bool { return d.cuda > 0 }

// Index returns the GPU's number, from 0, −1 for the CPU.
func (d Device) Index() int { return d.cuda - 1 }

// String returns the device's name as ParseDevice reads it.
func (d Device) String() string {
	if d.cuda == 0 {
		return "cpu"
	}
	return fmt.Sprintf("cuda:%d", d.cuda-1)
}

// index returns LibTorch's index of the device, −1 for the CPU. All tensors get onto a
// GPU through it, so that it is where the default of AllowTF32 is applied.
func (d Device) index() int {
	if d.IsCUDA() {
		tf32.Do(func() { libtorch.AllowTF32(false) })
	}
	return d.cuda - 1
}

var tf32 sync.Once // done when AllowTF32 or its default has been applied

// AllowTF32 sets whether GPUs may compute products and convolutions of float32 in TF32,
// with 10 bits of mantissa, which is faster. The default is false.
//
// The setting is LibTorch's, of the whole process: it reaches every user of LibTorch in
// it, from the next operator on. Importing this package changes nothing. The default is
// applied when this package first uses a GPU, unless AllowTF32 was called before; from
// then on only AllowTF32 changes it.
func AllowTF32(allow bool) {
	tf32.Do(func() {})
	libtorch.AllowTF32(allow)
}

// BenchmarkCuDNN sets whether cuDNN measures all its algorithms for a convolution when it
// meets new shapes, and uses the fastest from then on. That pays if the same shapes recur,
// as crops of one size do in training, and costs time at every new size of picture.
//
// The setting is LibTorch's, of the whole process, and false unless somebody sets it. Set
// it once, before the work begins: a change reaches all work that is running.
func BenchmarkCuDNN(on bool) { libtorch.BenchmarkCuDNN(on) }

// CUDADevices returns the number of CUDA devices that LibTorch can use.
func CUDADevices() int { return libtorch.CUDADevices() }

// Version returns LibTorch's version, such as "1.13.0".
func Version() string { return libtorch.Version() }
