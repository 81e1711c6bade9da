// Package allocation measures what functions allocate, for tests that bound it.
package allocation

import (
	"runtime/metrics"
	"testing"
)

// Bytes returns how many bytes were allocated on the heap while f ran, by any goroutine. It does
// not stop the world, as runtime.ReadMemStats does, so that a fuzz target can measure each of its
// inputs. Small objects are counted up to a megabyte late.
func Bytes(f func()) uint64 {
	before := total()
	f()
	return total() - before
}

// OfFile fails the test if f, which reads a file of size bytes, allocates more than four times
// the file and 16 MB: what a reader may, whatever the file claims to hold.
func OfFile(t testing.TB, size int, f func()) {
	t.Helper()
	const room = 16 << 20
	if used := Bytes(f); used > uint64(4*size+room) {
		t.Fatalf("%d bytes allocated for a file of %d", used, size)
	}
}

func total() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
