package train

import (
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// batch is samples on the device.
type batch struct {
	samples []data.Sample
	input   *torch.Tensor       // (B,3,H,W), normalised, padded with zeros on the right and below
	masks   *torch.Tensor       // of all samples' objects (G, h·w) at the mask features' pixels: uint8 of 0 and 1, or float32 parts
	classes *torch.Tensor       // of each sample's objects, int64 (B,1,most), filled up with 0
	most    int                 // the greatest number of objects of a sample
	targets *torch.StageTargets // of the fused losses, without their plan; nil without these
}

// newBatch packs pictures into their common size. The mask features have a stride; with
// coverage the masks are the parts of their pixels that objects cover. What the batch learns comes to a GPU in one copy, and
// if losses are fused there with what they need.
func newBatch(s *torch.Scope, n noised, c diffusioninst.Input, stride int, coverage bool, device torch.Device, fused bool) *batch {
	var pictures []diffusioninst.Pixels
	var bits []uint8
	var parts []float32
	objects := 0
	for _, sample := range n.samples {
		pictures = append(pictures, diffusioninst.Pixels{RGB: sample.RGB, Width: sample.Width, Height: sample.Height})
		if w, h := n.width/stride, n.height/stride; coverage {
			parts = append(parts, maskCoverage(sample, w, h, stride)...)
		} else {
			bits = append(bits, maskTargets(sample, w, h, stride)...)
		}
		objects += len(sample.Objects)
	}
	masks := torch.ArrayOf(bits, objects, len(bits)/max(objects, 1))
	if coverage {
		masks = torch.ArrayOf(parts, objects, len(parts)/max(objects, 1))
	}
	b := &batch{samples: n.samples, input: c.Pack(s, pictures, n.width, n.height, device)}
	for _, sample := range b.samples {
		b.most = max(b.most, len(sample.Objects))
	}
	classes := make([]int64, len(b.samples)*b.most)
	for i, sample := range b.samples {
		for j, object := range sample.Objects {
			classes[i*b.most+j] = int64(object.Class)
		}
	}
	arrays := []torch.Array{masks, torch.ArrayOf(classes, len(b.samples), 1, b.most)}
	if fused {
		arrays = append(arrays, stageTargets(n.samples, objects, drawn(bits, parts, objects))...)
	}
	uploaded := s.Upload(device, arrays...)
	b.masks, b.classes = uploaded[0], uploaded[1]
	if fused {
		b.targets = &torch.StageTargets{Masks: b.masks, Boxes: uploaded[2], Sizes: uploaded[3], Kinds: uploaded[4]}
	}
	return b
}

// classScores returns every proposal's scores (B,N,most) of the classes of its picture's objects, from
// logits (B,N,K).
func (b *batch) classScores(logits *torch.Tensor) *torch.Tensor {
	return logits.Scope().Hold(func() *torch.Tensor {
		index := b.classes.Expand(-1, logits.Size(1), -1)
		return logits.Detach().Gather(2, index).ToDType(torch.Float32).Sigmoid()
	})
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

// maskCoverage returns which part of each feature's square of stride² pixels a sample's objects cover, in the
// layout of maskTargets. The middle of a square is that of the pixel that maskTargets samples, where inference puts the feature: of an even
// stride it lies half a pixel beyond the middle of the pixels [x·stride, (x+1)·stride), whose parts would move masks by as much.
func maskCoverage(s data.Sample, w, h, stride int) []float32 {
	out := make([]float32, len(s.Objects)*w*h)
	side, first := 2*stride, 1-stride%2 // of a square and where the first begins, in half pixels
	part := 1 / float32(side*side)
	for i, o := range s.Objects {
		plane := out[i*w*h : (i+1)*w*h]
		for y := first; y < min(2*o.Mask.Height, first+h*side); y++ {
			row := plane[(y-first)/side*w:][:w]
			for x0, x1 := range o.Mask.Row(y / 2) {
				for x, last := max(2*x0-first, 0), min(2*x1-first, w*side); x < last; {
					end := min((x/side+1)*side, last)
					row[x/side] += part * float32(end-x)
					x = end
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
