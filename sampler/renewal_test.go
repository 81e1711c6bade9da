package sampler_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
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

// What a policy decides on tensors is what it decides on the host.
func TestKeepTensorIsKeep(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		const pictures, proposals = 3, 40
		// Few values, so that many scores are equal; 0.3 in float32 is above 0.3.
		scores := s.Rand(torch.NewGenerator(5), torch.Float32, pictures, proposals).MulScalar(10).Floor().DivScalar(10)
		values := torch.Values[float32](scores)
		for _, policy := range []sampler.TensorRenewal{
			sampler.Threshold(0.5), sampler.Threshold(0.3), sampler.Threshold(-1), sampler.Threshold(2),
			sampler.TopFraction(0), sampler.TopFraction(0.33), sampler.TopFraction(0.5), sampler.TopFraction(1),
		} {
			got := torch.Values[uint8](policy.KeepTensor(scores))
			for i := range pictures {
				for j, want := range policy.Keep(values[i*proposals : (i+1)*proposals]) {
					require.Equal(t, want, got[i*proposals+j] != 0, "%T(%v): picture %d, proposal %d", policy, policy, i, j)
				}
			}
		}
	})
}
