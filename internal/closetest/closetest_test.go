package closetest

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// probe records what a test would be told.
type probe struct {
	testing.TB
	said string
}

func (*probe) Helper() {}

func (p *probe) Fatalf(format string, args ...any) {
	p.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestSlices(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		want, got []float64
		said      string
	}{
		{[]float64{1, 2}, []float64{1.1, 1.9}, ""},
		{nil, nil, ""},
		{[]float64{nan, inf, -inf}, []float64{nan, inf, -inf}, ""},
		{[]float64{1, 2}, []float64{1}, "1 numbers instead of 2: step 3"},
		{[]float64{1}, nil, "0 numbers instead of 1: step 3"},
		{nil, []float64{1}, "1 numbers instead of 0: step 3"},
		{[]float64{1, 2}, []float64{1, 2.3}, "number 1 of 2 is 2.3, not within 0.2 of 2: step 3"},
		{[]float64{1}, []float64{nan}, "number 0 of 1 is NaN, not within 0.2 of 1: step 3"},
		{[]float64{inf}, []float64{-inf}, "number 0 of 1 is -Inf, not within 0.2 of +Inf: step 3"},
		{[]float64{inf}, []float64{1}, "number 0 of 1 is 1, not within 0.2 of +Inf: step 3"},
	} {
		p := &probe{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			Slices(p, c.want, c.got, 0.2, "step %d", 3)
		}()
		<-done
		require.Equal(t, c.said, p.said)
	}
	Slices(t, []float64{0.5}, []float32{0.5}, 0)
}
