package picture

import (
	"fmt"
	"image"
	"math"
	"slices"
	"sync"
)

// A level is a value of samples and how many have it.
type level struct {
	value float64
	count int
}

// histograms are reused, because a service of small pictures spends more on new ones than on the
// pictures.
var histograms = sync.Pool{New: func() any { return new([1 << 16]int) }}

// levelsOf counts the finite samples of a picture by their value, in ascending order: the samples of
// every step-th row, or of so many floating-point numbers that they are enough.
func levelsOf(img image.Image, step int) []level {
	var out []level
	if n := floatSamples(img) * img.Bounds().Dx() * img.Bounds().Dy(); n > 0 {
		every := max(n>>20, 1) | 1
		some := make([]float64, 0, n/every+1)
		next := 0
		eachFloats(img, func(pix []float64) bool {
			for ; next < len(pix); next += every {
				if v := pix[next]; v-v == 0 {
					some = append(some, v)
				}
			}
			next -= len(pix)
			return true
		})
		slices.Sort(some)
		for _, v := range some {
			if n := len(out); n > 0 && out[n-1].value == v {
				out[n-1].count++
			} else {
				out = append(out, level{v, 1})
			}
		}
		return out
	}
	full := histograms.Get().(*[1 << 16]int)
	defer histograms.Put(full)
	counts := full[:]
	if !isDeep(img) {
		counts = full[:1<<8]
	}
	clear(counts)
	eachSample(img, step, func(row []uint16) bool {
		for _, v := range row {
			counts[v]++
		}
		return true
	})
	for v, n := range counts {
		if n > 0 {
			out = append(out, level{float64(v), n})
		}
	}
	return out
}

func total(levels []level) int {
	n := 0
	for _, l := range levels {
		n += l.count
	}
	return n
}

// span returns two percentiles: 0 and 0 if there are no samples.
func span(levels []level, low, high float64) (float64, float64) {
	n := total(levels)
	at := func(p float64) float64 {
		rank := int(math.Round(p / 100 * float64(n-1)))
		for _, l := range levels {
			if rank -= l.count; rank < 0 {
				return l.value
			}
		}
		return 0
	}
	return at(low), at(high)
}

// Of the samples of a picture, at most these shares are taken for defects: bright dust and
// overexposed or dead pixels.
const (
	mostDefects = 0.05 // that share the greatest or the least value
	mostBright  = 0.02 // others
)

// autoRange returns the samples that Auto makes black and white: percentiles that a few
// samples do not change. Those that share the greatest or the least value, far from all
// others, are taken for defects and left out. What may be wrong is in the warning.
func autoRange(levels []level) (low, high float64, warning string) {
	low, high = span(levels, autoLow, autoHigh)
	n := float64(total(levels))
	if n == 0 {
		return 0, 0, ""
	}
	// narrow reports whether levels spread, and over less than an eighth of the range.
	narrow := func(l, h float64) bool { return h > l && 8*(h-l) < high-low }
	last := len(levels) - 1
	for _, end := range []struct {
		level
		value float64 // the percentile at this end
		rest  []level
		name  string
	}{{levels[last], high, levels[:last], "greatest"}, {levels[0], low, levels[min(1, last):], "least"}} {
		if end.level.value != end.value {
			continue
		}
		l, h := span(end.rest, autoLow, autoHigh)
		share := float64(end.count) / n
		if !narrow(l, h) || end.name == "least" && share > mostDefects {
			continue
		}
		what := fmt.Sprintf("%.2g %% of its samples have the %s value, %.6g, and the others are %.6g to %.6g", 100*share, end.name, end.level.value, l, h)
		if share <= mostDefects {
			return l, h, what + ", which was stretched: the rest is taken for defects (Options.Normalize LO,HI sets another range)"
		}
		return low, high, what + ", less than an eighth of the range: if these matter, stretch them with Options.Normalize LO,HI"
	}
	l, h := span(levels, autoLow, 100*(1-mostBright))
	if narrow(l, h) {
		return low, high, fmt.Sprintf("98 %% of its samples are %.6g to %.6g, less than an eighth of the range that was stretched, %.6g to %.6g: if the brightest are dust, use Options.Normalize 0.1,98", l, h, low, high)
	}
	return low, high, ""
}

// dim says that a picture that is not stretched uses less than an eighth of the range of its
// samples, but for a few that share the greatest value: empty if it uses more, or has a single
// value.
func dim(img image.Image) string {
	most := 255.0
	if floatSamples(img) == 0 && isDeep(img) {
		most = 65535
	}
	b := img.Bounds()
	levels := levelsOf(img, max(3*b.Dx()*b.Dy()>>20, 1)|1)
	if len(levels) < 2 {
		return ""
	}
	narrow := func(levels []level) (low, high float64, ok bool) {
		low, high = span(levels, autoLow, autoHigh)
		if l, h := max(low, 0), min(high, most); h > l {
			low, high = l, h
		}
		return low, high, high > low && 8*(high-low) < most
	}
	const advice = "%.6g to %.6g of 0 to %v, less than an eighth: normalization with 1,99.8 (percentiles) stretches them"
	if low, high, ok := narrow(levels); ok {
		return fmt.Sprintf("its samples are "+advice, low, high, most)
	}
	last := len(levels) - 1
	top, rest := levels[last], levels[:last]
	share := float64(top.count) / float64(total(levels))
	if low, high, ok := narrow(rest); ok && share <= mostDefects {
		return fmt.Sprintf("its samples but %.2g %% at the greatest value, %.6g, are "+
			"%.6g to %.6g of 0 to %v, less than an eighth: Options.Normalize %.6gv,%.6gv stretches them", 100*share, top.value, low, high, most, low, high)
	}
	return ""
}
