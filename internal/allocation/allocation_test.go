package allocation

import "testing"

var kept []byte

func TestBytes(t *testing.T) {
	const n = 5 << 20
	if got := Bytes(func() { kept = make([]byte, n) }); got < n || got > n+1<<20 {
		t.Fatalf("%d bytes", got)
	}
	if got := Bytes(func() {}); got > 1<<20 {
		t.Fatalf("%d bytes of nothing", got)
	}
}
