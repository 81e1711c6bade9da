package libtorch

// #include "kernels.h"
import "C"

// StageLossOptions are the settings of StageLosses; see di_stage_loss_options in kernels.h.
type StageLossOptions struct {
	Weights        [4]float64
	Alpha, Gamma   float64
	Focal, Columns bool
	Quality        int
	Layers, Pairs  int
}

// StageTargets are tensors on the device; see di_stage_targets in kernels.h.
type StageTargets struct{ Masks, Boxes, Sizes, Kinds, Plan Handle }

// StageLosses returns the weighted losses (S,4) of all supervised decoder stages on a GPU; see di_stage_losses in kernels.h.
func StageLosses(o StageLossOptions, t StageTargets, features Handle, logits, boxes, filters []Handle) (Handle, *Error) {
	options := C.di_stage_loss_options{
		alpha: C.double(o.Alpha), gamma: C.double(o.Gamma), focal: C.bool(o.Focal), columns: C.bool(o.Columns),
		quality: C.int(o.Quality), layers: C.int64_t(o.Layers), pairs: C.int64_t(o.Pairs),
	}
	for i, w := range o.Weights {
		options.weights[i] = C.double(w)
	}
	targets := C.di_stage_targets{
		masks: C.di_tensor(t.Masks), boxes: C.di_tensor(t.Boxes), sizes: C.di_tensor(t.Sizes), kinds: C.di_tensor(t.Kinds), plan: C.di_tensor(t.Plan),
	}
	l, n := list(logits)
	b, _ := list(boxes)
	f, _ := list(filters)
	return one(C.di_stage_losses(&options, &targets, C.di_tensor(features), l, b, f, n))
}
