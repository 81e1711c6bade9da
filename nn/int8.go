package nn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/diffusioninst/go/torch"
)

// A Calibration holds the ranges of the features of convolutions, by the paths of these, as a Calibrator finds them.
type Calibration map[string]ConvRanges

// ConvRanges are the ranges of what a convolution takes and of what it gives, before a sum and its ReLU.
type ConvRanges struct{ In, Out Range }

// A Range is from the least number to the greatest one.
type Range [2]float64

// valid reports whether the numbers are a range that float32 can compute with.
func (r Range) valid() bool {
	const most = 1e30
	return -most <= r[0] && r[0] <= r[1] && r[1] <= most
}

// Check returns an error for a range that is none, or beyond what float32 can compute with.
func (c Calibration) Check() error {
	for path, r := range c {
		for _, of := range []Range{r.In, r.Out} {
			if !of.valid() {
				return fmt.Errorf("the int8 range of %s is from %v to %v", path, of[0], of[1])
			}
		}
	}
	return nil
}

// UnmarshalJSON reads {"In":[least,greatest],"Out":[least,greatest]}; anything else is an error.
func (r *ConvRanges) UnmarshalJSON(data []byte) error {
	var of struct{ In, Out []float64 }
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&of); err != nil {
		return err
	}
	if len(of.In) != 2 || len(of.Out) != 2 {
		return fmt.Errorf("the int8 ranges %s: want In and Out of two numbers each", data)
	}
	r.In, r.Out = Range(of.In), Range(of.Out)
	return nil
}

// A Calibrator notes the ranges of the features of all convolutions of a Store for inference that can multiply 8-bit numbers, while
// these compute. Several goroutines may do so at once.
type Calibrator struct {
	lock   sync.Mutex
	ranges Calibration
}

// Calibration returns the ranges so far.
func (c *Calibrator) Calibration() Calibration {
	c.lock.Lock()
	defer c.lock.Unlock()
	return maps.Clone(c.ranges)
}

// note widens the ranges of a path by those of x and y.
func (c *Calibrator) note(path string, x, y *torch.Tensor) {
	in, out := rangeOf(x), rangeOf(y)
	if !in.valid() || !out.valid() {
		return // not a number, which the model reports
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.ranges == nil {
		c.ranges = Calibration{}
	}
	if old, ok := c.ranges[path]; ok {
		in, out = in.with(old.In), out.with(old.Out)
	}
	c.ranges[path] = ConvRanges{in, out}
}

func rangeOf(x *torch.Tensor) Range {
	x = x.Flatten(0, -1)
	return Range{-x.Neg().Amax([]int{0}, false).Item(), x.Amax([]int{0}, false).Item()}
}

func (r Range) with(other Range) Range { return Range{min(r[0], other[0]), max(r[1], other[1])} }

// An int8Conv is a convolution of 8-bit numbers.
type int8Conv struct {
	conv            *torch.Int8Convolution
	in, out         torch.Int8Range
	elements, bytes int64 // of the weight and the bias
}

var errNotCalibrated = errors.New("it has no range for int8: diffusioninst quantize finds it on pictures")

// round makes the convolution one of 8-bit numbers in place of its weight and bias, and reports whether it has.
func (c *Conv2d) round(p Path) bool {
	st := p.store
	if st.options.Int8 == nil || p.exact {
		return false
	}
	st.asked = append(st.asked, p.String())
	if c.products {
		return false
	}
	r, ok := st.options.Int8[p.String()]
	if !ok {
		st.problem.note(p.String(), nil, errNotCalibrated)
		return false
	}
	s := torch.NewScope()
	defer s.Close()
	weight, bias := int64(c.Weight.Elements()), int64(c.Weight.Size(0))
	c.int8 = &int8Conv{
		s.Adopt(c.Weight).NewInt8Convolution(adopt(s, c.Bias), [2]int(c.stride), [2]int(c.padding), c.ReLU),
		torch.NewInt8Range(r.In[0], r.In[1]), torch.NewInt8Range(r.Out[0], r.Out[1]), weight + bias, weight + 4*bias,
	}
	st.rounded = append(st.rounded, c.int8)
	gone := []*torch.Tensor{c.Weight}
	if c.Bias != nil {
		gone = append(gone, c.Bias)
	}
	st.fold(gone)
	c.Weight, c.Bias = nil, nil
	return true
}

// forward returns the convolution of x, in 8 bits if only next takes it, and next does.
func (c *int8Conv) forward(x *torch.Tensor, next *Conv2d) *torch.Tensor {
	if next != nil && next.int8 != nil {
		return c.conv.ForwardKept(x, c.in, next.int8.in)
	}
	return c.conv.Forward(x, c.in, c.out)
}
