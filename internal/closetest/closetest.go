// Package closetest compares slices of numbers in tests. testify's InDeltaSlice passes if the
// actual slice is empty or only the beginning of the expected one.
package closetest

import (
	"fmt"
	"math"
	"testing"
)

// Slices ends the test unless got has as many elements as want, and each is within delta of
// want's. Two NaN are equal; the message is a format and its arguments.
func Slices[A, B ~float32 | ~float64](t testing.TB, want []A, got []B, delta float64, message ...any) {
	t.Helper()
	said := ""
	if len(message) > 0 {
		said = ": " + fmt.Sprintf(fmt.Sprint(message[0]), message[1:]...)
	}
	if len(got) != len(want) {
		t.Fatalf("%d numbers instead of %d%s", len(got), len(want), said)
	}
	for i := range want {
		w, g := float64(want[i]), float64(got[i])
		if w != g && !(math.Abs(w-g) <= delta) && !(math.IsNaN(w) && math.IsNaN(g)) {
			t.Fatalf("number %d of %d is %v, not within %v of %v%s", i, len(want), g, delta, w, said)
		}
	}
}
