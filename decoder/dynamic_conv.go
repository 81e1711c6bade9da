package decoder

import (
	"slices"

	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// fusedTypes are the types of pooled features that torch.Tensor.DynamicConv takes on the CPU.
var fusedTypes = []torch.DType{torch.Float32, torch.BFloat16}

// dynamicConv filters a proposal's pooled features by two matrices that are computed
// from the proposal's own features (Sun et al., Sparse R-CNN, arXiv 2011.12450).
type dynamicConv struct {
	layer               *nn.Linear // d → 2·d·w
	norm1, norm2, norm3 *nn.LayerNorm
	types               types
	out                 *nn.Linear // Bins²·d → d
	inner               int
	product             func(a, b *torch.Tensor) *torch.Tensor // of batches of small matrices
	fused               bool                                   // inference, where rounding need not be PyTorch's
}

func newDynamicConv(p nn.Path, c Config) *dynamicConv {
	d, w, t := c.Hidden, c.Dynamic, typesOf(p)
	norm := nn.NewLayerNorm
	if t.low != t.exact {
		norm = nn.NewComputeLayerNorm
	}
	product := (*torch.Tensor).SmallBmm
	if p.Eager() {
		product = (*torch.Tensor).Bmm
	}
	return &dynamicConv{
		layer: nn.NewLinear(p.Sub("dynamic_layer"), d, 2*d*w, nn.LinearOptions{}),
		norm1: norm(p.Sub("norm1"), w), norm2: norm(p.Sub("norm2"), d), norm3: nn.NewLayerNorm(p.Sub("norm3"), d), types: t,
		out:   nn.NewLinear(p.Sub("out_layer"), c.Bins*c.Bins*d, d, nn.LinearOptions{}),
		inner: w, product: product, fused: p.Inference() && !p.Eager() && d%16 == 0 && w%16 == 0,
	}
}

// forward maps proposal features (R,d) and what is pooled for them to (R,d), before the last norm and ReLU.
func (c *dynamicConv) forward(proposals *torch.Tensor, from pooling) *torch.Tensor {
	return proposals.Scope().Hold(func() *torch.Tensor {
		matrices := c.layer.Forward(as(proposals, c.types.low))
		return c.out.Forward(c.of(from, matrices).Flatten(1, 2))
	})
}

// of returns interact of what is pooled.
func (c *dynamicConv) of(from pooling, matrices *torch.Tensor) *torch.Tensor {
	if from.features != nil {
		return c.interact(from.features, matrices)
	}
	return torch.DynamicConvPooled(from.levels, from.boxes, from.image, from.level, matrices,
		[4]*torch.Tensor{c.norm1.Weight, c.norm1.Bias, c.norm2.Weight, c.norm2.Bias}, from.config, c.norm1.Eps)
}

// interact multiplies pooled features (R, Bins², d) with the two matrices (R, 2·d·w) of each proposal.
func (c *dynamicConv) interact(rois, matrices *torch.Tensor) *torch.Tensor {
	if c.fused && !rois.Device().IsCUDA() && slices.Contains(fusedTypes, rois.DType()) && !rois.RequiresGrad() && !matrices.RequiresGrad() {
		return rois.DynamicConv(matrices, [4]*torch.Tensor{c.norm1.Weight, c.norm1.Bias, c.norm2.Weight, c.norm2.Bias}, c.norm1.Eps)
	}
	return rois.Scope().Hold(func() *torch.Tensor {
		d := rois.Size(2)
		first := matrices.Narrow(1, 0, d*c.inner).View(-1, d, c.inner)
		second := matrices.Narrow(1, d*c.inner, d*c.inner).View(-1, c.inner, d)
		x := c.norm1.ForwardReLU(c.product(rois, first), c.types.low)
		return c.norm2.ForwardReLU(c.product(x, second), c.types.low)
	})
}
