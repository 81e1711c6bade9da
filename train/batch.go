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
	var pictures []diffusioninst.Pixels
	var bits []uint8
	objects := 0
	for _, sample := range n.samples {
		pictures = append(pictures, diffusioninst.Pixels{RGB: sample.RGB, Width: sample.Width, Height: sample.Height})
		bits = append(bits, maskTargets(sample, n.width/stride, n.height/stride, stride)...)
		objects += len(sample.Objects)
	}
	return &batch{
		samples: n.samples,
		input:   c.Pack(s, pictures, n.width, n.height, device),
		masks:   torch.From(s, bits, objects, len(bits)/max(objects, 1)).To(device),
	}
}

// maskTargets samples the masks of a sample's objects, one after the other, at every
// stride-th pixel of w×h, from half a stride on; 0 beyond the picture.
func maskTargets(s data.Sample, w, h, stride int) []uint8 {
	out := make([]uint8, len(s.Objects)*w*h)
	for i, o := range s.Objects {
		plane := out[i*w*h : (i+1)*w*h]
		for y := range min(h, (o.Mask.Height-stride/2+stride-1)/stride) {
			for x0, x1 := range o.Mask.Row(y*stride + stride/2) {
				for x := (x0 - stride/2 + stride - 1) / stride; x*stride+stride/2 < x1; x++ {
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
