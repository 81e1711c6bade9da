package checkpoint

// Ints returns a shape as package torch has it, in ints.
func Ints(shape []int64) []int { return convert[int](shape) }

// Int64s returns a shape of package torch as files have it, in int64.
func Int64s(shape []int) []int64 { return convert[int64](shape) }

func convert[To, From int | int64](shape []From) []To {
	out := make([]To, len(shape))
	for i, n := range shape {
		out[i] = To(n)
	}
	return out
}
