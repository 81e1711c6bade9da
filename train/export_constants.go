package train

import (
	"encoding/binary"
	"io"
	"math"
	"strings"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
)

// constants are what the official project's state dictionary has beside parameters and
// can be computed: a strict load_state_dict asks for them.
func constants(schedule sampler.Schedule, parameters []*nn.Parameter) []checkpoint.Source {
	out := scheduleConstants(schedule)
	for _, p := range parameters {
		if block, ok := strings.CutSuffix(p.Name, ".relative_position_bias_table"); ok {
			side := (int64(math.Sqrt(float64(p.Tensor.Size(0)))) + 1) / 2
			out = append(out, positionIndex(block+".relative_position_index", side))
		}
	}
	return out
}

// scheduleConstants returns the constants of a diffusion with the signal ᾱ (Ho et al.
// 2020, equations 4 to 7), in float64.
func scheduleConstants(schedule sampler.Schedule) []checkpoint.Source {
	names := []string{
		"betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
		"log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_variance",
		"posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2",
	}
	values := map[string][]float64{}
	before := 1.0
	for _, signal := range schedule {
		alpha := signal / before
		beta := 1 - alpha
		variance := beta * (1 - before) / (1 - signal)
		for i, v := range []float64{
			beta, signal, before, math.Sqrt(signal), math.Sqrt(1 - signal),
			math.Log(1 - signal), math.Sqrt(1 / signal), math.Sqrt(1/signal - 1), variance,
			math.Log(max(variance, 1e-20)), beta * math.Sqrt(before) / (1 - signal), (1 - before) * math.Sqrt(alpha) / (1 - signal),
		} {
			values[names[i]] = append(values[names[i]], v)
		}
		before = signal
	}
	var out []checkpoint.Source
	for _, name := range names {
		out = append(out, numbers(name, checkpoint.Float64, []int64{int64(len(schedule))}, values[name]))
	}
	return out
}

// positionIndex is the row of the position bias table for each pair of tokens of a
// window, as a Swin Transformer keeps it.
func positionIndex(name string, side int64) checkpoint.Source {
	n := side * side
	var rows []int64
	for query := range n {
		for key := range n {
			rows = append(rows, (query/side-key/side+side-1)*(2*side-1)+query%side-key%side+side-1)
		}
	}
	return numbers(name, checkpoint.Int64, []int64{n, n}, rows)
}

// counter is a whole number as PyTorch saves one: an int64 without dimensions.
func counter(name string, n int64) checkpoint.Source {
	return numbers(name, checkpoint.Int64, nil, n)
}

func numbers(name string, dtype checkpoint.DType, shape []int64, values any) checkpoint.Source {
	return checkpoint.Source{Name: name, DType: dtype, Shape: shape, WriteTo: func(w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, values)
	}}
}
