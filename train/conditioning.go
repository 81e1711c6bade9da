package train

import (
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// tell returns what the decoder is told at a moment of its last estimate, as decoder.Conditioning has it: N rows of diffusion.told
// numbers, none without self-conditioning. x is a picture's state (N,4+filters).
func (d diffusion) tell(x []float64, at sampler.Moment) []float32 {
	out := make([]float32, d.proposals*d.told)
	if d.told == 0 || at.Last == nil {
		return out
	}
	boxes, _ := d.split(x)
	last, _ := d.split(torch.Values[float64](at.Last))
	boxes, last = d.read(boxes, at.T), d.clean(last, 1)
	var known []uint8
	if at.Known != nil {
		known = torch.Values[uint8](at.Known)
	}
	for i := range d.proposals {
		if known != nil && known[i] == 0 {
			continue
		}
		row := out[d.told*i:]
		for k := range 4 {
			row[k], row[4+k] = float32(boxes[4*i+k]), float32(last[4*i+k])
		}
		row[8] = 1
	}
	return out
}

// toldRows is what tell returns for pictures, (B,N,told), on a device; nil without self-conditioning, or if nothing is told.
func (d diffusion) toldRows(s *torch.Scope, told []float32, device torch.Device) *torch.Tensor {
	if len(told) == 0 {
		return nil
	}
	return torch.From(s, told, len(told)/(d.told*d.proposals), d.proposals, d.told).To(device)
}
