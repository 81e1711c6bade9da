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

func init() {
	for name, text := range map[string]string{
		"roi_align.cu": roiAlignSource, "mask_dice.cu": maskDiceSource, "masks.cu": masksSource,
	} {
		n, t := C.CString(name), C.CString(text)
		C.di_gpu_source(n, t)
		C.free(unsafe.Pointer(n))
		C.free(unsafe.Pointer(t))
	}
}
