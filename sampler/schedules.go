package sampler

import "math"

// Cosine returns the schedule of Nichol and Dhariwal (2021) over a number of times:
// ᾱ ∝ cos²((t/T+s)/(1+s)·π/2) with s = 0.008 and every β at most 0.999.
func Cosine(times int) Schedule {
	const s = 0.008
	return fromSignal(times, func(u float64) float64 {
		c := math.Cos((u + s) / (1 + s) * math.Pi / 2)
		return c * c
	})
}

// Sigmoid returns the schedule of Jabri et al. (arXiv 2212.11972) over a number of times:
// ᾱ is a logistic curve from −3 to 3, scaled to end at 0, with every β at most 0.999. It
// spends fewer times on almost pure noise than Cosine.
func Sigmoid(times int) Schedule {
	const start, end = -3, 3
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	return fromSignal(times, func(u float64) float64 {
		return (logistic(end) - logistic(start+u*(end-start))) / (logistic(end) - logistic(start))
	})
}

// Linear returns the schedule of Ho et al. (arXiv 2006.11239) over a number of times: β grows linearly from 1e-4 to 0.02,
// both scaled by 1000/times, and is at most 0.999.
func Linear(times int) Schedule {
	out := make(Schedule, max(times, 0))
	scale := 1000 / float64(times)
	product := 1.0
	for t := range out {
		f := 0.0
		if times > 1 {
			f = float64(t) / float64(times-1)
		}
		product *= 1 - min(scale*(1e-4+f*(0.02-1e-4)), maxBeta)
		out[t] = product
	}
	return out
}

// maxBeta bounds the fraction of the variance that one time removes.
const maxBeta = 0.999

// fromSignal returns the schedule whose ᾱ follows f over u in [0,1], limited by maxBeta.
func fromSignal(times int, f func(u float64) float64) Schedule {
	at := func(t int) float64 { return f(float64(t)/float64(times)) / f(0) }
	out := make(Schedule, max(times, 0))
	product := 1.0
	for t := range out {
		product *= 1 - min(max(1-at(t+1)/at(t), 0), maxBeta)
		out[t] = product
	}
	return out
}
