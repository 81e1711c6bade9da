//go:build cgo

package main

import (
	"github.com/spf13/pflag"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/torch"
)

// A precisionFlag is the flag --precision of commands that run a model. Once the model is loaded,
// it is what the model took, so that settings in files say that.
type precisionFlag struct {
	diffusioninst.Precision
	warned bool
}

func (p *precisionFlag) add(f *pflag.FlagSet) {
	f.Var(p, "precision", "type of convolutions and linear maps: float32, bfloat16 (half of the weights' memory; fast where the processor has AMX, else slower than float32), float16 (on a GPU only), int8 (convolutions only, of a model that quantize wrote; for processors with AVX512-VNNI), or auto: bfloat16 on such a processor, else, and on a GPU, float32")
}

func (p *precisionFlag) Set(text string) (err error) {
	p.Precision, err = diffusioninst.ParsePrecision(text)
	return err
}

func (p *precisionFlag) Type() string { return "auto|float32|bfloat16|float16|int8" }

// slowInBFloat16 reports whether a device is no faster in bfloat16 than in float32.
func slowInBFloat16(d torch.Device) bool { return !d.IsCUDA() && !torch.FastBFloat16() }

// take notes the precision of a model, and warns once if it is slow.
func (p *precisionFlag) take(model *diffusioninst.Model, warn func(format string, args ...any)) {
	p.Precision = model.Precision()
	if p.Precision == diffusioninst.PrecisionBFloat16 && slowInBFloat16(model.Device()) && !p.warned {
		warn("--precision bfloat16: this processor has no AMX: slower than float32")
		p.warned = true
	}
}
