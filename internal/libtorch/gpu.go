package libtorch

// #include <stdlib.h>
// #include "kernels.h"
import "C"

import (
	_ "embed"
	"unsafe"
)

//go:embed cuda/roi_align.cu
var roiAlignSource string

//go:embed cuda/mask_dice.cu
var maskDiceSource string

//go:embed cuda/masks.cu
var masksSource string

//go:embed cuda/norms.cu
var normsSource string

//go:embed cuda/boxes.cu
var boxesSource string

//go:embed cuda/stage_losses.cu
var stageLossesSource string

//go:embed cuda/numbers.cuh
var numbersSource string // in front of the others

func init() {
	for name, text := range map[string]string{
		"roi_align.cu": roiAlignSource, "mask_dice.cu": maskDiceSource, "masks.cu": masksSource,
		"norms.cu": normsSource, "boxes.cu": boxesSource, "stage_losses.cu": stageLossesSource, "numbers.cuh": numbersSource,
	} {
		n, t := C.CString(name), C.CString(text)
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
