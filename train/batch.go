package train

import (
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// batch is samples on the device.
type batch struct {
	samples []data.Sample
	input   *torch.Tensor // (B,3,H,W), normalised, padded with zeros on the right and below
	masks   *torch.Tensor // of all samples' objects: uint8 (G, h·w) of 0 and 1 at the mask features' pixels
}

// newBatch packs pictures into their common size. The mask features have a stride.
func newBatch(s *torch.Scope, n noised, c diffusioninst.Input, stride int, device torch.Device) *batch {
	mean := torch.From(s, c.Mean[:]).ToDType(torch.Float32).To(device)
	std := torch.From(s, c.Std[:]).ToDType(torch.Float32).To(device)
	b := &batch{samples: n.samples}
	var pictures []*torch.Tensor
	var bits []uint8
	objects := 0
	for _, sample := range n.samples {
		mark := s.Mark()
		x := torch.From(s, sample.RGB, int64(sample.Height), int64(sample.Width), 3).To(device)
		if c.BGR {
			x = x.Flip([]int64{2})
		}
		x = x.ToDType(torch.Float32).Sub(mean).Div(std).Permute([]int64{2, 0, 1})
		x = x.ConstantPad([]int64{0, int64(n.width - sample.Width), 0, int64(n.height - sample.Height)}, 0)
		s.Release(mark, x)
		pictures = append(pictures, x)
		bits = append(bits, maskTargets(sample, n.width/stride, n.height/stride, stride)...)
		objects += len(sample.Objects)
	}
	b.masks = torch.From(s, bits, int64(objects), int64(len(bits)/max(objects, 1))).To(device)
	b.input = torch.Stack(pictures, 0)
	return b
}

// maskTargets samples the masks of a sample's objects, one after the other, at every
// stride-th pixel of w×h, from half a stride on; 0 beyond the picture.
func maskTargets(s data.Sample, w, h, stride int) []uint8 {
	out := make([]uint8, len(s.Objects)*w*h)
	for i, o := range s.Objects {
		plane := out[i*w*h : (i+1)*w*h]
		for y := range h {
			for x := range w {
				if o.Mask.Get(x*stride+stride/2, y*stride+stride/2) {
					plane[y*w+x] = 1
				}
			}
		}
	}
	return out
}

// ids names the samples.
func ids(samples []data.Sample) []string {
	var out []string
	for _, s := range samples {
		out = append(out, s.ID)
	}
	return out
}
