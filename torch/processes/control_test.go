package processes

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A call that takes too long is left alone, and others are not.
func TestWithin(t *testing.T) {
	require.NoError(t, within(time.Minute, func() error { return nil }))
	bad := errors.New("bad")
	require.ErrorIs(t, within(time.Minute, func() error { return bad }), bad)
	on := make(chan struct{})
	defer close(on)
	g := &Group{}
	require.ErrorIs(t, g.ask(time.Millisecond, func() error { <-on; return nil }), errSilent)
	require.True(t, g.silent.Load())
}
