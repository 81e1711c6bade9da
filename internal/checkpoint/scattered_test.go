package checkpoint

import (
	"testing"

	"github.com/stretchr/testify/require"

	pt "github.com/diffusioninst/go/internal/pickletest"
)

// What only the program that wrote a file can put together is refused, with what to do.
func TestScatteredParameters(t *testing.T) {
	empty := pt.Tensor{Shape: []int{0}}
	for name, c := range map[string]struct {
		root pt.Dict
		says string
	}{
		"FSDP":           {pt.Dict{{"model", pt.Dict{{"_fsdp_wrapped_module._flat_param", ones(9)}, {"_fsdp_wrapped_module.head._fsdp_wrapped_module._flat_param", ones(3)}}}}, "FULL_STATE_DICT"},
		"FSDP, rank":     {pt.Dict{{"flat_param", ones(9)}}, "FULL_STATE_DICT"},
		"ZeRO 2":         {pt.Dict{{"optimizer_state_dict", pt.Dict{{"single_partition_of_fp32_groups", pt.List{ones(9)}}}}}, "zero_to_fp32.py"},
		"ZeRO 3":         {pt.Dict{{"optimizer_state_dict", pt.Dict{{"fp32_flat_groups", pt.List{ones(9)}}}}}, "zero_to_fp32.py"},
		"ZeRO 3, states": {pt.Dict{{"module", pt.Dict{{mark, empty}, {"head.bias", empty}}}}, "zero_to_fp32.py"},
	} {
		f, err := readPTH(t, c.root)
		require.NoError(t, err, name)
		for _, o := range []Average{AverageAuto, AverageOn, AverageOff} {
			_, err = f.Weights(o, false)
			require.ErrorIs(t, err, ErrUnsupported, name)
			require.ErrorContains(t, err, c.says, name)
		}
	}
	for form, says := range map[string]string{"_rebuild_wrapper_subclass": "full_tensor()", "_rebuild_sparse_tensor": "to_dense()", "_rebuild_qtensor": "as it was before"} {
		f, err := readPTH(t, pt.Dict{{"model", pt.Dict{{mark, pt.Object{Class: "torch._utils." + form, Args: pt.Tuple{1, 2}}}, {"w", ones(1)}}}})
		require.NoError(t, err)
		require.ErrorContains(t, f.Why(mark), says)
	}
}
