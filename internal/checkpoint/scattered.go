package checkpoint

import (
	"slices"
	"strings"
)

// scattered returns an error if f holds parts of parameters that only the program that wrote it
// puts together, and nil otherwise. found are the sets of weights in f.
func (f *File) scattered(found []Set) error {
	what := ""
	if len(found) == 0 {
		for _, g := range f.groups {
			for _, t := range g.tensors {
				switch part := strings.TrimRight(t.Name, ".0123456789"); {
				case strings.HasSuffix(part, "flat_param"):
					what = "its parameters are flattened by FSDP: save the full state dictionary (FULL_STATE_DICT)"
				case strings.HasSuffix(part, "fp32_flat_groups"), strings.HasSuffix(part, "single_partition_of_fp32_groups"):
					what = "it is a part of DeepSpeed's optimizer state: run zero_to_fp32.py, which stands beside it, and take what that writes"
				}
			}
		}
	} else if !slices.ContainsFunc(found, func(s Set) bool { return !slices.Contains(s.mark.Shape, 0) }) {
		what = "its tensors are empty, as ZeRO stage 3 of DeepSpeed leaves them: run zero_to_fp32.py, which stands beside it, and take what that writes"
	}
	if what == "" {
		return nil
	}
	return annotate(unsupported("%s", what), f.path, f.Format, "")
}
