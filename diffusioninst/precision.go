package diffusioninst

import (
	"context"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// A Precision is the type in which a loaded model multiplies: the convolutions and linear maps of
// backbone, feature pyramid, mask branch and decoder. Boxes, their pooling coordinates and deltas,
// scores, the sampler's state, the time embedding, masks with their filters, and the sums of norms
// are float32 in every precision.
type Precision int8

// The precisions. The zero value is PrecisionFloat32.
const (
	PrecisionFloat32 Precision = 0
	// PrecisionBFloat16 rounds weights, once, and features to 8 bits of mantissa. It takes half of
	// the memory, and is meant for processors with AMX. On others with AVX-512, AVX512-BF16 included, it works, slower
	// than float32; without AVX-512 it is an error. So it is on a GPU of a compute capability below 8.0.
	PrecisionBFloat16 Precision = 1
	// PrecisionFloat16 rounds weights and features to 11 bits of mantissa, on GPUs only: processors compute it
	// slower than float32. Its numbers end at 65,504; a picture whose features do not fit is an error, which
	// wraps a *nn.NotFiniteError.
	PrecisionFloat16 Precision = 2
	// PrecisionInt8 multiplies 8-bit numbers in the convolutions of backbone, feature pyramid and mask branch, but for the mask branch's last
	// one: weights are rounded once, features to the ranges of Config.Int8, beyond which they are clipped. The decoder stays float32. It is for
	// processors with AVX512-VNNI, where it is the fastest one for a large ResNet unless there is AMX.
	PrecisionInt8 Precision = 3
	// PrecisionAuto is bfloat16 where the processor has AMX, otherwise, and on a GPU, float32: what types of fewer bits
	// gain on a GPU, and lose, has not been measured.
	PrecisionAuto Precision = -1
)

var precisionNames = map[Precision]string{PrecisionFloat32: "float32", PrecisionBFloat16: "bfloat16", PrecisionFloat16: "float16", PrecisionInt8: "int8", PrecisionAuto: "auto"}

// ParsePrecision returns the precision of a name: auto, float32, bfloat16, float16 or int8.
func ParsePrecision(name string) (Precision, error) {
	for p, known := range precisionNames {
		if name == known {
			return p, nil
		}
	}
	return 0, fmt.Errorf("diffusioninst: precision %q: want auto, float32, bfloat16, float16 or int8", name)
}

// String returns the name that ParsePrecision reads.
func (p Precision) String() string {
	if name, ok := precisionNames[p]; ok {
		return name
	}
	return fmt.Sprintf("Precision(%d)", int8(p))
}

// Tests replace these.
var (
	fastBFloat16 = torch.FastBFloat16
	hasInt8      = torch.HasInt8
)

// on returns the precision that a device takes, which is not auto, or a *ConfigError.
func (p Precision) on(ctx context.Context, device torch.Device) (Precision, error) {
	switch p {
	case PrecisionFloat32:
		return p, nil
	case PrecisionAuto:
		if device.IsCUDA() || !fastBFloat16() || device.CheckPrecision(ctx, torch.BFloat16) != nil {
			return PrecisionFloat32, ctx.Err()
		}
		return PrecisionBFloat16, nil
	case PrecisionInt8:
		if device.IsCUDA() || !hasInt8() {
			return p, configError("a precision of int8 on %v, use float32 or auto: it is for processors with AVX512-VNNI, by a LibTorch with oneDNN's quantized operators", device)
		}
		return p, ctx.Err()
	case PrecisionBFloat16, PrecisionFloat16:
		if p == PrecisionFloat16 && !device.IsCUDA() {
			return p, configError("a precision of float16 on %v: it is for GPUs, and slower than float32 on processors: use bfloat16, float32 or auto", device)
		}
		if err := device.CheckPrecision(ctx, p.dtype()); err != nil {
			return p, &ConfigError{fmt.Sprintf("a precision of %v on %v, use float32 or auto: %v", p, device, err), err}
		}
		return p, ctx.Err()
	}
	return p, configError("%v: want PrecisionFloat32, PrecisionBFloat16, PrecisionFloat16, PrecisionInt8 or PrecisionAuto", p)
}

// dtype is the type in which a model of the precision, which is not auto, multiplies.
func (p Precision) dtype() torch.DType {
	switch p {
	case PrecisionBFloat16:
		return torch.BFloat16
	case PrecisionFloat16:
		return torch.Float16
	}
	return torch.Float32
}
