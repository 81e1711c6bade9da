package libtorch

// #include <stdlib.h>
// #include "kernels.h"
import "C"

import (
	"embed"
	"strings"
	"unsafe"
)

//go:embed cuda
var kernels embed.FS

// What files include takes the place of the line, as NVRTC finds no files.
func init() {
	entries, err := kernels.ReadDir("cuda")
	if err != nil {
		panic(err)
	}
	text := map[string]string{}
	for _, e := range entries {
		data, err := kernels.ReadFile("cuda/" + e.Name())
		if err != nil {
			panic(err)
		}
		text[e.Name()] = string(data)
	}
	for name, source := range text {
		for _, shared := range []string{"block_sum.cuh", "pooling.cuh", "warps.cuh"} {
			source = strings.Replace(source, `#include "`+shared+`"`, text[shared], 1)
		}
		n, t := C.CString(name), C.CString(source)
		C.di_gpu_source(n, t)
		C.free(unsafe.Pointer(n))
		C.free(unsafe.Pointer(t))
	}
}

// Capability returns the compute capability of a GPU times ten, such as 90 for 9.0.
func Capability(device int) (int, *Error) {
	var out C.int
	e := takeError(C.di_gpu_capability(C.int(device), &out))
	return int(out), e
}
