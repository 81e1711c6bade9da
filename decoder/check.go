package decoder

import (
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// checkPass says which argument of a pass does not fit the decoder, or the boxes.
func (d *Decoder) checkPass(levels []*torch.Tensor, boxes, filters, conditioning, times *torch.Tensor) error {
	if boxes.Dim() != 3 || boxes.Size(2) != 4 {
		return fmt.Errorf("decoder: boxes of shape %v: want (B,N,4)", boxes.Shape())
	}
	b, n := boxes.Size(0), boxes.Size(1)
	if times.Dim() != 2 || times.Size(0) != b {
		return fmt.Errorf("decoder: %d times for the boxes of %d pictures", times.Size(0), b)
	}
	if len(levels) != len(d.pooling.Scales) {
		return fmt.Errorf("decoder: a pyramid of %d levels: the decoder was made for %d", len(levels), len(d.pooling.Scales))
	}
	for i, l := range levels {
		if l.Dim() != 4 || l.Size(0) != b || l.Size(1) != d.Config.Hidden {
			return fmt.Errorf("decoder: level %d of shape %v: want (%d,%d,H,W)", i, l.Shape(), b, d.Config.Hidden)
		}
	}
	for _, t := range []struct {
		name   string
		tensor *torch.Tensor
		taken  bool // by this decoder
		option string
		size   int
	}{
		{"filters", filters, d.filters != nil, "FilterState", d.Config.FilterParams},
		{"conditioning", conditioning, d.last != nil, "SelfConditioning", ConditioningSize},
	} {
		if t.tensor == nil {
			continue
		}
		if !t.taken {
			return fmt.Errorf("decoder: %s for a decoder whose Config has no %s", t.name, t.option)
		}
		if t.tensor.Dim() != 3 || t.tensor.Size(0) != b || t.tensor.Size(1) != n || t.tensor.Size(2) != t.size {
			return fmt.Errorf("decoder: %s of shape %v: want (%d,%d,%d)", t.name, t.tensor.Shape(), b, n, t.size)
		}
	}
	return nil
}
