package nn

import (
	"fmt"
	"strings"
)

// A NotFiniteError says which value became NaN or infinite: in inference because weights or
// picture are broken, in training also because the learning rate is too high.
type NotFiniteError struct {
	Where   string   // "prediction", "gradient", or the name of a loss, such as "loss_giou"
	Stage   int      // decoder stage, counted from 0; −1 for the gradient
	Samples []string // training samples of the batch; nil in inference
	Value   float64
}

func (e *NotFiniteError) Error() string {
	text := e.Where
	if e.Stage >= 0 {
		text += fmt.Sprintf(" of decoder stage %d", e.Stage)
	}
	text += fmt.Sprintf(" is %v", e.Value)
	if len(e.Samples) > 0 {
		text += " on samples " + strings.Join(e.Samples, ", ")
	}
	return text
}
