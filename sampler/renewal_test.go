package sampler_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/sampler"
)

func ExampleRenewal() {
	scores := []float32{0.9, 0.2, 0.6, 0.4}
	fmt.Println(sampler.Threshold(0.5).Keep(scores))
	fmt.Println(sampler.TopFraction(0.75).Keep(scores))
	fmt.Println(sampler.NoRenewal{}.Keep(scores))
	// Output:
	// [true false true false]
	// [true false true true]
	// [true true true true]
}

func TestRenewal(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name   string
		policy sampler.Renewal
		scores []float32
		keep   []bool
	}{
		{"at the threshold", sampler.Threshold(0.5), []float32{0.5, 0.50001}, []bool{false, true}},
		{"threshold below all", sampler.Threshold(-1), []float32{0, 1}, []bool{true, true}},
		{"threshold above all", sampler.Threshold(1), []float32{0, 1}, []bool{false, false}},
		{"no proposals", sampler.Threshold(0.5), nil, []bool{}},
		{"a score of NaN is renewed", sampler.Threshold(0.5), []float32{nan, 0.9}, []bool{false, true}},
		{"no fraction", sampler.TopFraction(0), []float32{0.1, 0.2}, []bool{false, false}},
		{"a fraction rounds", sampler.TopFraction(0.5), []float32{0.1, 0.3, 0.2}, []bool{false, true, true}},
		{"of equal scores the first", sampler.TopFraction(0.5), []float32{0.2, 0.2, 0.2, 0.2}, []bool{true, true, false, false}},
		{"all", sampler.TopFraction(1), []float32{0, 0}, []bool{true, true}},
		{"no renewal", sampler.NoRenewal{}, []float32{0, nan}, []bool{true, true}},
	} {
		require.Equal(t, c.keep, c.policy.Keep(c.scores), c.name)
	}
}
