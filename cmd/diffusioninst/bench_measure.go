//go:build cgo

package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/diffusioninst/go/torch"
)

// measure runs do at least three times and for the time least, and returns the seconds of each.
func measure(ctx context.Context, least time.Duration, do func(i int) error) ([]float64, error) {
	var times []float64
	for begin := time.Now(); len(times) < 3 || time.Since(begin) < least; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := do(len(times)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start).Seconds())
	}
	return times, nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// modelParts are the parts of a call, in their order; see diffusioninst.Options.OnPart.
var modelParts = []string{"prepare", "backbone", "mask branch", "sampling", "masks", "merge"}

// gpuParts are those by a GPU's clock; see diffusioninst.Options.OnDevicePart.
var gpuParts = []string{"input", "backbone", "mask branch", "sampling", "decoder", "masks"}

// partTimes are the seconds of each part of each run.
type partTimes map[string][]float64

// begin begins a run with these parts.
func (p partTimes) begin(parts []string) {
	for _, part := range parts {
		p[part] = append(p[part], 0)
	}
}

// add adds to the time of a part, of which a picture in tiles has several.
func (p partTimes) add(part string, took time.Duration) {
	p[part][len(p[part])-1] += took.Seconds()
}

// medians are per picture of a batch, without the first run, which warms up.
func (p partTimes) medians(batch int) map[string]float64 {
	out := map[string]float64{}
	for part, times := range p {
		out[part] = median(times[1:]) / float64(batch)
	}
	return out
}

// What times are compared with: a matrix product (512×2048)·(2048×2048), and a convolution of 3×3
// with 128 channels over 64×64 pixels.
const (
	productRows, productSide = 512, 2048
	productFLOP              = 2 * productRows * productSide * productSide
	convChannels, convSide   = 128, 64
	convFLOP                 = 2 * 9 * convChannels * convChannels * convSide * convSide
)

// rates are floating-point operations per second of the machine.
type rates struct{ product, convolution float64 }

func (r rates) mean(other rates) rates {
	return rates{(r.product + other.product) / 2, (r.convolution + other.convolution) / 2}
}

func (r rates) best() float64 { return max(r.product, r.convolution) }

// machineRates times products in a type on a device, by the best kernels that there are.
func machineRates(ctx context.Context, device torch.Device, d torch.DType) (rates, error) {
	var out rates
	err := torch.Do(ctx, func(s *torch.Scope) error {
		o := newOperands(s, device, d)
		out.product = max(rateOf(s, wallTime, productFLOP, o.linear), rateOf(s, wallTime, productFLOP, o.blas))
		out.convolution = rateOf(s, wallTime, convFLOP, o.convolution)
		return nil
	})
	return out, err
}

// operands are the factors of the products that are timed.
type operands struct{ x, weight, pixels, filters *torch.Tensor }

func newOperands(s *torch.Scope, device torch.Device, d torch.DType) operands {
	g := torch.NewGenerator(1)
	random := func(shape ...int) *torch.Tensor { return s.Randn(g, torch.Float32, shape...).To(device).ToDType(d) }
	return operands{
		random(productRows, productSide), random(productSide, productSide),
		random(1, convChannels, convSide, convSide).ChannelsLast(), random(convChannels, convChannels, 3, 3).ChannelsLast(),
	}
}

func (o operands) linear() *torch.Tensor { return o.x.LinearOneDNN(o.weight, nil) }
func (o operands) blas() *torch.Tensor   { return o.x.Linear(o.weight, nil) }
func (o operands) convolution() *torch.Tensor {
	return o.pixels.Conv2dOneDNN(o.filters, nil, [2]int{1, 1}, [2]int{1, 1})
}

var clockStart = time.Now()

func wallTime() time.Duration { return time.Since(clockStart) }

// processTime returns the time that the process's threads have computed.
func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return wallTime()
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rateOf returns the rate of an operator by a clock, the best of three rounds of at least 20 ms each.
func rateOf(s *torch.Scope, clock func() time.Duration, flop float64, run func() *torch.Tensor) float64 {
	rounds := func(n int) time.Duration {
		mark := s.Mark()
		defer s.Release(mark)
		start := clock()
		var z *torch.Tensor
		for range n {
			z = run()
		}
		z.Select(0, 0).Sum().Item() // waits for the device
		return max(clock()-start, time.Nanosecond)
	}
	n := 1
	for rounds(n) < 20*time.Millisecond && n < 1<<12 {
		n *= 2
	}
	best := time.Duration(1<<63 - 1)
	for range 3 {
		best = min(best, rounds(n))
	}
	return flop * float64(n) / best.Seconds()
}

// resetPeakMemory makes peakMemory count from now if the system supports that; otherwise it
// counts from the program's start.
func resetPeakMemory() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakMemory returns the largest resident memory of this process in bytes, or 0 if the system
// does not say.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(text, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
