package diffusioninst

import (
	"math"

	"github.com/diffusioninst/go/torch"
)

// A SizePrior is what is known of objects' sizes before a picture is seen: the mean and the
// standard deviation of boxes' widths and heights in sizes of the network's input, such as a tile. The
// noise of widths and heights then has this distribution instead of that of centres, and boxes
// go from noise to objects in a straight line, as in flow matching (Lipman et al., arXiv
// 2210.02747): at a time with signal α and noise σ the decoder reads (α·x₀ + σ·z)/(α+σ). The
// sampler's state stays that of its schedule, with standard normal noise, so that every
// sampler works. A model must have been trained with its prior.
type SizePrior struct{ Mean, Std float64 }

func (p SizePrior) check() error {
	if p != (SizePrior{}) && !(p.Mean > 0 && p.Mean < 1 && p.Std > 0 && p.Std <= 1) {
		return configError("a size prior of %v ± %v: want a mean between 0 and 1, and a standard deviation above 0", p.Mean, p.Std)
	}
	return nil
}

// Noise returns the mean and the standard deviation of the noise of cx, cy, w and h where the signal
// reaches from −scale to scale.
func (p SizePrior) Noise(scale float64) (mean, std [4]float64) {
	std = [4]float64{1, 1, 1, 1}
	if p != (SizePrior{}) {
		mean[2], std[2] = (2*p.Mean-1)*scale, 2*p.Std*scale
		mean[3], std[3] = mean[2], std[2]
	}
	return mean, std
}

// Narrowing returns what a state's boxes are multiplied with before the decoder reads them: 1/(α+σ), or
// 1 without a prior, as in the paper.
func (p SizePrior) Narrowing(alpha, sigma float64) float64 {
	if p == (SizePrior{}) {
		return 1
	}
	return 1 / (alpha + sigma)
}

// read maps a sampler's state x (B,N,D) to what the decoder reads, before it is clamped.
func (p SizePrior) read(x *torch.Tensor, scale, alphaBar float64) *torch.Tensor {
	if p == (SizePrior{}) {
		return x
	}
	mean, std := p.Noise(scale)
	factor := p.Narrowing(math.Sqrt(alphaBar), math.Sqrt(1-alphaBar))
	for i := range std {
		std[i] *= factor
	}
	return affine(x, std, mean)
}

// write maps an estimate x0 (B,N,D) of what the decoder reads to that of the state.
func (p SizePrior) write(x0 *torch.Tensor, scale float64) *torch.Tensor {
	if p == (SizePrior{}) {
		return x0
	}
	mean, std := p.Noise(scale)
	for i := range std {
		std[i] = 1 / std[i]
		mean[i] *= -std[i]
	}
	return affine(x0, std, mean)
}

// affine multiplies the first four numbers of each row and adds to them: the same for cx and cy, and for w and h, which takes
// no copy to a GPU.
func affine(x *torch.Tensor, factor, shift [4]float64) *torch.Tensor {
	pair := func(i int) *torch.Tensor { return x.Narrow(2, i, 2).MulScalar(factor[i]).AddScalar(shift[i]) }
	return torch.Cat([]*torch.Tensor{pair(0), pair(2), x.Narrow(2, 4, x.Size(2)-4)}, 2)
}
