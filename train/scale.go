package train

import "github.com/diffusioninst/go/nn"

// lossScale keeps the small gradients of float16 from vanishing (Micikevicius et al.
// 2018): losses are multiplied by Value before the backward pass and gradients divided
// by it afterwards. A step whose gradient overflows is left out and halves it; after
// scalePatience steps without it is doubled.
type lossScale struct {
	Value float64 `json:"value"`
	Good  int     `json:"good"` // steps since it changed
}

const (
	scaleStart    = 1 << 16
	scalePatience = 2000
	scaleLeast    = 1.0 / (1 << 10) // a gradient that overflows even so is not finite
)

// unscale divides the gradients of parameters.
func (l *lossScale) unscale(parameters []*nn.Parameter) { nn.ScaleGrads(parameters, 1/l.Value) }

// after notes a step whose gradient was finite or not. It reports whether to leave out a
// step that was not, rather than give up.
func (l *lossScale) after(finite bool) (leaveOut bool) {
	switch {
	case !finite:
		l.Value, l.Good = l.Value/2, 0
		return l.Value >= scaleLeast
	case l.Good+1 == scalePatience:
		l.Value, l.Good = l.Value*2, 0
	default:
		l.Good++
	}
	return false
}
