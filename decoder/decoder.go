package decoder

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// A Decoder refines boxes in stages, given a feature pyramid and a diffusion time.
type Decoder struct {
	Config Config
	Stages []*Stage
	// Place, if not nil, makes filters of what the stages predict, (B,N,FilterParams+Coordinates), and of the boxes that they
	// predict, (B,N,4).
	Place   func(predicted, boxes *torch.Tensor) *torch.Tensor
	time    [2]*nn.Linear
	times   *nn.Linear // of all stages, side by side; nil if each has its own
	filters *nn.Linear // noisy filters → first proposal features; nil without FilterState
	last    *nn.Linear // Conditioning → first proposal features; nil without SelfConditioning
	pooling torch.RoIAlignConfig
	types   types
	eager   bool
	pools   bool // in the dynamic convolution's kernel
}

// pooling are boxes and what is pooled for them.
type pooling struct {
	levels       []*torch.Tensor
	boxes, image *torch.Tensor // (R,4) and, int64, (R): the picture of each
	level        *torch.Tensor // int64 (R): that of each; nil on a GPU
	config       torch.RoIAlignConfig
	features     *torch.Tensor // (R,Bins²,C); nil if the dynamic convolution pools them
}

// types are the element types inside a decoder. Pooled features, which are most of its memory, and
// what is multiplied with them are of the type low; boxes, proposal features, norms' results and
// the time embedding of the type exact.
type types struct {
	low, exact torch.DType
	inference  bool
	fuses      bool // joins operators on a GPU into single launches that have no gradients
	boxes      bool // joins those on boxes on a GPU
}

func typesOf(p nn.Path) types {
	gpu := !p.Eager() && p.Device().IsCUDA()
	t := types{low: p.DType(), exact: p.DType(), inference: p.Inference(), fuses: p.Inference() && gpu, boxes: gpu}
	if p.Inference() {
		t.low = p.Compute()
	}
	return t
}

// as returns x in another type.
func as(x *torch.Tensor, d torch.DType) *torch.Tensor {
	if x.DType() == d {
		return x
	}
	return x.ToDType(d)
}

// An Output is what one stage predicts for every proposal. Boxes are x1 y1 x2 y2 in
// pixels of the network's input.
type Output struct {
	Logits  *torch.Tensor // (B,N,Classes), before the sigmoid; nil if not requested
	Boxes   *torch.Tensor // (B,N,4)
	Filters *torch.Tensor // (B,N,FilterParams), or what Decoder.Place makes; nil if not requested
}

// New returns a decoder for a pyramid whose levels have the given strides in pixels,
// finest first. Its parameters below p are time_mlp.* and head_series.*. An error is that
// of Config.WithDefaults; what is wrong with parameters is reported by nn.Store.Err.
func New(p nn.Path, strides []int, c Config) (*Decoder, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	d := c.Hidden
	out := &Decoder{Config: c, pooling: torch.RoIAlignConfig{Bins: c.Bins, Samples: c.Samples}, types: typesOf(p), eager: p.Eager()}
	for _, s := range strides {
		out.pooling.Scales = append(out.pooling.Scales, 1/float64(s))
	}
	out.time[0] = nn.NewLinear(p.Exact().Sub("time_mlp", 1), d, 4*d, nn.LinearOptions{})
	out.time[1] = nn.NewLinear(p.Exact().Sub("time_mlp", 3), 4*d, 4*d, nn.LinearOptions{})
	if c.FilterState {
		// Starts at zero, so that a model trained on boxes alone starts unchanged.
		out.filters = nn.NewLinear(p.Exact().Sub("filter_state"), c.FilterParams, d, nn.LinearOptions{Init: nn.Constant(0)})
	}
	if c.SelfConditioning {
		// Starts at zero, too. It has no bias, so that of what is not known nothing is added.
		out.last = nn.NewLinear(p.Exact().Sub("self_conditioning"), ConditioningSize, d, nn.LinearOptions{NoBias: true, Init: nn.Constant(0)})
	}
	for i := range c.Stages {
		out.Stages = append(out.Stages, newStage(p.Sub("head_series", i), c))
	}
	out.pools = out.types.inference && !p.Eager() && slices.Contains(fusedTypes, out.types.low) && out.types.exact == torch.Float32 && out.Stages[0].dynamic.fused
	if out.types.fuses {
		out.pools = p.DType() == torch.Float32 && d+c.Dynamic <= torch.MaxPooledFeatures
		var maps []*nn.Linear
		for _, st := range out.Stages {
			maps = append(maps, st.time)
			st.time = nil
		}
		out.times = nn.SideBySide(p, maps)
	}
	return out, nil
}

// Forward runs all stages and returns an Output for each. levels are the pyramid's
// features, (B,Hidden,H/stride,W/stride) each; boxes (B,N,4) are x1 y1 x2 y2 in pixels of
// the network's input; times are the B diffusion times. A stage refines the boxes of the
// one before, and no gradient flows between stages. If all is set, every stage predicts
// logits and filters, as training needs; otherwise only the last does. Errors are a
// *nn.NotFiniteError if a prediction is not finite, and one that names the argument of
// another shape.
func (d *Decoder) Forward(levels []*torch.Tensor, boxes *torch.Tensor, times []float64, all bool) ([]Output, error) {
	return d.ForwardState(levels, boxes, nil, times, all)
}

// ForwardState is like Forward for a state that has noisy filters (B,N,FilterParams)
// beside the boxes: a linear map of them is added to the first proposal features. The
// paper proposes this as future work (section 5). The decoder's Config must have
// FilterState set, unless filters is nil.
func (d *Decoder) ForwardState(levels []*torch.Tensor, boxes, filters *torch.Tensor, times []float64, all bool) ([]Output, error) {
	out, finite, err := d.Refine(levels, boxes, filters, nil, times, all)
	if err != nil || finite == nil {
		return out, err
	}
	for stage, ok := range torch.Values[uint8](finite) {
		if ok == 0 {
			return nil, NotFinite(stage)
		}
	}
	return out, nil
}

// NotFinite returns the error of a stage, counted from 0, whose predictions are not finite. It wraps a
// *nn.NotFiniteError.
func NotFinite(stage int) error {
	return fmt.Errorf("decoder: %w: the weights or the picture are broken", &nn.NotFiniteError{Where: "prediction", Stage: stage, Value: math.NaN()})
}

// made returns an error for a decoder that is not one.
func (d *Decoder) made() error {
	if d == nil || len(d.Stages) == 0 {
		return errors.New("decoder: the Decoder is nil, or was not made by New")
	}
	return nil
}

// Refine is like ForwardState but does not wait for a GPU to learn whether predictions are finite: it
// returns the answers, bool (Stages), on the device. NotFinite gives the error of a stage whose answer
// is false. On the CPU, where there is nothing to wait for, Refine has looked, and finite is nil. With
// Config.SelfConditioning it is also told what Conditioning returns, or nil if nothing is known of any proposal.
func (d *Decoder) Refine(levels []*torch.Tensor, boxes, filters, conditioning *torch.Tensor, times []float64, all bool) (out []Output, finite *torch.Tensor, err error) {
	if err := d.made(); err != nil {
		return nil, nil, err
	}
	return d.RefineAt(levels, boxes, filters, conditioning, d.Embed(boxes.Scope(), times, boxes.Device()), all)
}

// RefineAt is Refine for times that Embed has embedded. On a GPU nothing in it is copied from or to the host, so that
// it can be recorded as a torch.Graph.
func (d *Decoder) RefineAt(levels []*torch.Tensor, boxes, filters, conditioning, times *torch.Tensor, all bool) (out []Output, finite *torch.Tensor, err error) {
	if err := d.made(); err != nil {
		return nil, nil, err
	}
	if err := d.checkPass(levels, boxes, filters, conditioning, times); err != nil {
		return nil, nil, err
	}
	s := boxes.Scope()
	time := d.time[1].Forward(d.time[0].Forward(as(times, d.types.exact)).Gelu())
	if d.types.inference {
		time = time.Silu() // once for all stages; in training each has its own gradient
	}
	if d.times != nil {
		time = d.times.Forward(time)
	}
	boxes = as(boxes, d.types.exact)
	levels = slices.Clone(levels)
	for i, level := range levels {
		levels[i] = as(level, d.types.low)
	}
	later := boxes.Device().IsCUDA()
	image := s.Arange(boxes.Size(0), torch.Options{DType: torch.Int64, Device: boxes.Device()}).
		Unsqueeze(1).Expand(boxes.Size(0), boxes.Size(1)).Reshape(-1) // of each box
	if later { // once, not in each stage
		image = image.Contiguous()
		for i, level := range levels {
			levels[i] = level.ChannelsLast()
		}
	}
	var proposals *torch.Tensor
	var sums []*torch.Tensor
	out = make([]Output, len(d.Stages))
	for i, stage := range d.Stages {
		mark := s.Mark()
		from := d.pool(levels, boxes, image, i == 0)
		if i == 0 {
			proposals = d.start(from, boxes, filters, conditioning)
		}
		var o Output
		o, proposals = stage.forward(from, boxes, proposals, d.modulation(i, time), all || i == len(d.Stages)-1)
		boxes = o.Boxes.Detach()
		if o.Filters != nil && d.Place != nil {
			o.Filters = d.Place(o.Filters, boxes)
		}
		out[i] = o
		keep := []*torch.Tensor{o.Boxes, proposals, boxes}
		if o.Logits != nil {
			keep = append(keep, o.Logits, o.Filters)
		}
		if !later {
			if v := o.sum().Item(); math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, nil, NotFinite(i)
			}
		} else if o.Logits != nil {
			sum := o.sumBesideBoxes()
			sums, keep = append(sums, sum), append(keep, sum)
		}
		s.Release(mark, keep...)
	}
	if later {
		finite = s.Hold(func() *torch.Tensor { return finiteOf(out, sums) })
	}
	return out, finite, nil
}

// modulation returns the scale and shift (B,2·d) of a stage, given what all stages share of the time.
func (d *Decoder) modulation(stage int, time *torch.Tensor) *torch.Tensor {
	if d.times != nil {
		return time.Narrow(1, stage*2*d.Config.Hidden, 2*d.Config.Hidden)
	}
	if !d.types.inference {
		time = time.Silu()
	}
	return d.Stages[stage].time.Forward(time)
}

// finiteOf returns whether predictions are finite, bool (Stages), given sums of what the last stages predict beside boxes.
func finiteOf(out []Output, sums []*torch.Tensor) *torch.Tensor {
	var boxes []*torch.Tensor
	for _, o := range out {
		boxes = append(boxes, o.Boxes.Detach())
	}
	total := torch.Stack(boxes, 0).Reshape(len(out), -1).SumDim([]int{1}, false)
	first := len(out) - len(sums)
	last := total.Narrow(0, first, len(sums)).Add(torch.Stack(sums, 0))
	if first > 0 {
		last = torch.Cat([]*torch.Tensor{total.Narrow(0, 0, first), last}, 0)
	}
	return last.IsFinite()
}

// start returns the first proposal features (B,N,d): the mean of a box's pooled
// features, plus the embeddings of its noisy filter and of its last estimate.
func (d *Decoder) start(from pooling, boxes, filters, conditioning *torch.Tensor) *torch.Tensor {
	return boxes.Scope().Hold(func() *torch.Tensor {
		rois, bins := from.features, 1
		if rois == nil {
			rois = torch.RoIAlign(from.levels, from.boxes, from.image, nil, from.config)
		}
		if d.eager {
			rois, bins = rois.Transpose(1, 2).Contiguous(), 2 // which sums them in the reference's order
		}
		x := as(rois, d.types.exact).MeanDim([]int{bins}, false).Reshape(boxes.Size(0), boxes.Size(1), -1)
		if filters != nil {
			x = x.Add(d.filters.Forward(as(filters, d.types.exact)))
		}
		if d.last != nil && conditioning != nil {
			x = x.Add(d.last.Forward(as(conditioning, d.types.exact)))
		}
		return x
	})
}

// sum is finite only if all predictions are, and costs one pass.
func (o Output) sum() *torch.Tensor {
	sum := o.Boxes.Detach().Sum()
	if o.Logits != nil {
		sum = sum.Add(o.sumBesideBoxes())
	}
	return sum
}

func (o Output) sumBesideBoxes() *torch.Tensor {
	return o.Logits.Detach().Sum().Add(o.Filters.Detach().Sum())
}

// Embed returns the embedding (B,d) of B diffusion times on a device: [sin(t·ω), cos(t·ω)] with
// ω_i = exp(−ln(10000)·i/(d/2−1)).
func (d *Decoder) Embed(s *torch.Scope, times []float64, device torch.Device) *torch.Tensor {
	half := d.Config.Hidden / 2
	omega := s.Arange(half, torch.F32(torch.CPU)).MulScalar(-math.Log(10000) / float64(half-1)).Exp()
	angle := torch.From(s, times, len(times), 1).ToDType(torch.Float32).Mul(omega.Unsqueeze(0))
	return torch.Cat([]*torch.Tensor{angle.Sin(), angle.Cos()}, 1).To(device)
}

// pool pools boxes (B,N,4): RoIAlign, each box of the picture image, int64 (B·N), on the level for its size, which is
// ⌊4 + log2(√area/224 + 1e-8)⌋ for p2, p3, … (Lin et al. 2017). The first stage takes the first proposal features from what is pooled.
func (d *Decoder) pool(levels []*torch.Tensor, boxes, image *torch.Tensor, first bool) pooling {
	from := pooling{levels: levels, boxes: boxes.Reshape(-1, 4), image: image, config: d.pooling}
	if !d.types.boxes {
		from.level = d.level(from.boxes)
	}
	if gpu := boxes.Device().IsCUDA(); !d.pools || (first && !gpu) {
		from.features = torch.RoIAlign(levels, from.boxes, image, from.level, d.pooling)
	}
	return from
}

// level returns the level, int64 (R), of boxes (R,4).
func (d *Decoder) level(boxes *torch.Tensor) *torch.Tensor {
	finest, last := -math.Log2(d.pooling.Scales[0]), float64(len(d.pooling.Scales)-1)
	area := boxes.Select(1, 2).Sub(boxes.Select(1, 0)).Mul(boxes.Select(1, 3).Sub(boxes.Select(1, 1)))
	return area.Sqrt().DivScalar(224).AddScalar(1e-8).Log2().AddScalar(4).Floor().
		Clamp(finest, finest+last).AddScalar(-finest).ToDType(torch.Int64)
}
