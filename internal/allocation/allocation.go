// Package allocation measures what functions allocate, for tests that bound it.
package allocation

import "runtime/metrics"

// Bytes returns how many bytes were allocated on the heap while f ran, by any goroutine. It does
// not stop the world, as runtime.ReadMemStats does, so that a fuzz target can measure each of its
// inputs. Small objects are counted up to a megabyte late.
func Bytes(f func()) uint64 {
	before := total()
	f()
	return total() - before
}

func total() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
