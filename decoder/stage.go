package decoder

import (
	"math"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A Stage is one refinement: self-attention among the proposals, dynamic convolution
// with their pooled features, a feed-forward network, modulation by the diffusion time,
// and the predictions.
type Stage struct {
	attention              *nn.SelfAttention
	dynamic                *dynamicConv
	linear1, linear2       *nn.Linear
	norm1, norm2, norm3    *nn.LayerNorm
	time                   *nn.Linear
	class, box             []layer
	logits, delta, filters *nn.Linear
	coordinates            *nn.Linear // nil without Coordinates
	types                  types
	boxes                  *torch.BoxPrediction // of the layers box and delta, in one launch; nil if they are computed one by one
}

// layer is a linear map without bias, layer norm and ReLU.
type layer struct {
	linear *nn.Linear
	norm   *nn.LayerNorm
}

// through returns what layers make of x.
func (t types) through(layers []layer, x *torch.Tensor) *torch.Tensor {
	for i, l := range layers {
		out := t.low
		if i == len(layers)-1 {
			out = t.exact
		}
		x = l.norm.ForwardReLU(l.linear.Forward(as(x, t.low)), out)
	}
	return x
}

func newStage(p nn.Path, c Config) *Stage {
	d := c.Hidden
	linear := func(p nn.Path, name string, in, out int) *nn.Linear {
		return nn.NewLinear(p.Sub(name), in, out, nn.LinearOptions{})
	}
	exact := p.Exact()
	layers := func(name string, n int) []layer {
		var out []layer
		for i := range n {
			out = append(out, layer{
				nn.NewLinear(p.Sub(name, 3*i), d, d, nn.LinearOptions{NoBias: true}), nn.NewLayerNorm(p.Sub(name, 3*i+1), d),
			})
		}
		return out
	}
	st := &Stage{
		attention: nn.NewSelfAttention(p.Sub("self_attn"), d, c.Heads),
		dynamic:   newDynamicConv(p.Sub("inst_interact"), c),
		linear1:   linear(p, "linear1", d, c.FeedForward),
		linear2:   linear(p, "linear2", c.FeedForward, d),
		norm1:     nn.NewLayerNorm(p.Sub("norm1"), d),
		norm2:     nn.NewLayerNorm(p.Sub("norm2"), d),
		norm3:     nn.NewLayerNorm(p.Sub("norm3"), d),
		time:      linear(exact, "block_time_mlp.1", 4*d, 2*d),
		class:     layers("cls_module", c.ClassLayers),
		box:       layers("reg_module", c.BoxLayers),
		// An untrained model scores every class with the prior (Lin et al., focal loss, 2017).
		logits:  nn.NewLinear(exact.Sub("class_logits"), d, c.Classes, nn.LinearOptions{InitBias: nn.Constant(-math.Log((1 - c.Prior) / c.Prior))}),
		delta:   linear(exact, "bboxes_delta", d, 4),
		filters: linear(exact, "controller", d, c.FilterParams),
		types:   typesOf(p),
	}
	if c.Coordinates > 0 { // at zero, so that a model that was trained without them starts unchanged
		st.coordinates = nn.NewLinear(exact.Sub("coordinates"), d, c.Coordinates, nn.LinearOptions{Init: nn.Constant(0)})
	}
	if st.types.fuses && p.DType() == torch.Float32 && len(st.box) > 0 && d <= torch.MaxBoxFeatures {
		st.boxes = boxPrediction(p, st.box, st.delta)
	}
	return st
}

// boxPrediction joins layers, which can no longer be used, and the map to deltas.
func boxPrediction(p nn.Path, layers []layer, delta *nn.Linear) *torch.BoxPrediction {
	out := &torch.BoxPrediction{Delta: delta.Weight, Bias: delta.Bias, CentreWeight: centreWeight, Growth: maxGrowth}
	var weights, norms []*torch.Tensor
	for _, l := range layers {
		weights, norms = append(weights, l.linear.Weight), append(norms, l.norm.Weight, l.norm.Bias)
		out.Eps = l.norm.Eps
	}
	d := delta.Weight.Size(1)
	out.Matrices = p.Pack(weights, func(of []*torch.Tensor) *torch.Tensor {
		return torch.Stack(of, 0).Transpose(1, 2).Contiguous()
	})
	out.Norms = p.Pack(norms, func(of []*torch.Tensor) *torch.Tensor { return torch.Stack(of, 0).Reshape(-1, 2, d) })
	return out
}

// forward maps what is pooled for boxes (B,N,4), the boxes, the proposal features of the stage before (B,N,d) and the modulation
// by time (B,2·d) to predictions and the next proposal features.
func (st *Stage) forward(from pooling, boxes, proposals, modulation *torch.Tensor, predict bool) (Output, *torch.Tensor) {
	s, t := boxes.Scope(), st.types
	shape := proposals.Shape()
	b, n, d := shape[0], shape[1], shape[2]
	mark := s.Mark()
	x, low := st.norm1.ForwardSum(proposals, st.attention.Forward(proposals), t.low)
	y := st.dynamic.forward(low.Reshape(b*n, d), from).Reshape(b, n, d)
	x, low = st.norm2.ForwardSumReLU(x, st.dynamic.norm3, y, t.low)
	y = st.linear2.Forward(st.linear1.ForwardReLU(low))
	modulated := t.low // what follows multiplies it
	if len(st.box) == 0 || len(st.class) == 0 {
		modulated = t.exact
	}
	x, f := st.norm3.ForwardModulated(x, y, modulation, modulated)
	s.Release(mark, x, f)

	mark = s.Mark()
	moved, box := st.refine(f, boxes, predict)
	o := Output{Boxes: moved}
	keep := []*torch.Tensor{o.Boxes}
	if predict {
		o.Logits, o.Filters = st.logits.Forward(t.through(st.class, f)), st.filters.Forward(box)
		if st.coordinates != nil {
			o.Filters = torch.Cat([]*torch.Tensor{o.Filters, st.coordinates.Forward(box)}, 2)
		}
		keep = append(keep, o.Logits, o.Filters)
	}
	s.Release(mark, keep...)
	return o, x
}

// refine returns the boxes (B,N,4) that the features f (B,N,d) predict and, if asked to keep them, the features that these come from.
func (st *Stage) refine(f, boxes *torch.Tensor, keep bool) (moved, features *torch.Tensor) {
	if st.boxes == nil {
		features = st.types.through(st.box, f)
		return st.applyDeltas(boxes, st.delta.Forward(features)), features
	}
	moved, features = st.boxes.Forward(f.Flatten(0, 1), boxes.Reshape(-1, 4), keep)
	if features != nil {
		features = features.Reshape(f.Shape()...)
	}
	return moved.Reshape(boxes.Shape()...), features
}

// The deltas of centres are divided by centreWeight; widths and heights, whose weight is 1, grow at most by
// maxGrowth in one stage.
const centreWeight = 2

var maxGrowth = math.Log(100000.0 / 16)

func (st *Stage) applyDeltas(boxes, deltas *torch.Tensor) *torch.Tensor {
	if st.types.boxes {
		return torch.ApplyDeltas(boxes, as(deltas, boxes.DType()), centreWeight, maxGrowth)
	}
	return applyDeltas(boxes, deltas)
}

// applyDeltas moves and scales boxes (B,N,4) by deltas (dx, dy, dw, dh): centres by
// fractions of the size, sizes by exponentials (Girshick et al. 2014).
func applyDeltas(boxes, deltas *torch.Tensor) *torch.Tensor {
	corner := func(i int) *torch.Tensor { return boxes.Narrow(2, i, 2) }
	size := corner(2).Sub(corner(0))
	centre := corner(0).Add(size.MulScalar(0.5))
	centre = centre.Add(deltas.Narrow(2, 0, 2).DivScalar(centreWeight).Mul(size))
	half := deltas.Narrow(2, 2, 2).ClampMax(maxGrowth).Exp().Mul(size).MulScalar(0.5)
	return torch.Cat([]*torch.Tensor{centre.Sub(half), centre.Add(half)}, 2)
}
