package leak

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { Main(m) }

func TestWait(t *testing.T) {
	before := goroutines()
	end := make(chan struct{})
	go func() { <-end }()
	left := goroutines()
	require.Len(t, left, len(before)+1)
	require.Contains(t, left[len(left)-1], "leak.TestWait.func1")
	close(end)
	require.Empty(t, wait(before))
}

func TestStays(t *testing.T) {
	const team = "goroutine 9 [chan receive, locked to thread]:\ngithub.com/diffusioninst/go/torch.(*worker).work(0x1)\n\tx.go:1\ncreated by github.com/diffusioninst/go/torch."
	require.True(t, stays(team+"start in goroutine 7\n"))
	require.True(t, stays(team+"(*worker).work.func1 in goroutine 7\n"), "in place of one that Goexit has ended")
	require.False(t, stays(team+"NewTeam in goroutine 7\n"))
}
