package decoder

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/torch"
)

func TestPassesNameTheArgumentThatDoesNotFit(t *testing.T) {
	withDecoder(t, 2, func(s *torch.Scope, d *Decoder, levels []*torch.Tensor) {
		boxes, times := someBoxes(s, 2, 7), []float64{999, 10}
		zeros := func(shape ...int) *torch.Tensor { return s.Zeros(torch.F32(torch.CPU), shape...) }
		for _, c := range []struct {
			levels               []*torch.Tensor
			boxes, filters, last *torch.Tensor
			times                []float64
			want                 string
		}{
			{levels, boxes.Select(0, 0), nil, nil, times, "decoder: boxes of shape [7 4]: want (B,N,4)"},
			{levels, boxes.Narrow(2, 0, 3), nil, nil, times, "decoder: boxes of shape [2 7 3]: want (B,N,4)"},
			{levels, boxes, nil, nil, nil, "decoder: 0 times for the boxes of 2 pictures"},
			{levels, boxes, nil, nil, times[:1], "decoder: 1 times for the boxes of 2 pictures"},
			{levels[:2], boxes, nil, nil, times, "decoder: a pyramid of 2 levels: the decoder was made for 3"},
			{levels, boxes.Narrow(0, 0, 1), nil, nil, times[:1], "decoder: level 0 of shape [2 16 32 32]: want (1,16,H,W)"},
			{[]*torch.Tensor{levels[0], levels[1], levels[2].Narrow(1, 0, 8)}, boxes, nil, nil, times, "decoder: level 2 of shape [2 8 8 8]: want (2,16,H,W)"},
			{levels, boxes, zeros(2, 7, 153), nil, times, "decoder: filters for a decoder whose Config has no FilterState"},
			{levels, boxes, nil, zeros(2, 7, 9), times, "decoder: conditioning for a decoder whose Config has no SelfConditioning"},
		} {
			_, _, err := d.Refine(c.levels, c.boxes, c.filters, c.last, c.times, false)
			require.EqualError(t, err, c.want)
		}
	})
}
