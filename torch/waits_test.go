package torch

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/libtorch"
)

func TestThreadsSpinWhileCoresAreFree(t *testing.T) {
	var ran, delayed time.Duration
	var fault error
	asleep, told := false, 0
	w := newWaits(func() (time.Duration, time.Duration, error) { return ran, delayed, fault }, func(s bool) { asleep = s; told++ })
	now := time.Now()
	look := func(r, d time.Duration) bool {
		ran, delayed, now = ran+r*time.Millisecond, delayed+d*time.Millisecond, now.Add(lookEvery)
		w.look(now)
		return asleep
	}
	assert.True(t, asleep, "until it is known")
	assert.True(t, look(600, 30), "a program starts on one thread, which says little")
	assert.False(t, look(300, 60))
	assert.True(t, look(200, 200), "another program wants a core")
	assert.True(t, look(1, 0), "so little computing says nothing")
	assert.True(t, look(300, 10), "one look does not say that it is gone")
	assert.False(t, look(300, 10))
	ran, delayed = ran/2, delayed/2 // threads have ended
	assert.False(t, look(0, 0), "which says nothing")
	assert.True(t, look(200, 200), "but what comes after it does")
	assert.True(t, look(300, 10))
	assert.False(t, look(300, 10))
	before := told
	w.look(now)
	assert.Equal(t, before, told, "no look before its time")
	fault = errors.New("no /proc")
	assert.True(t, look(300, 0), "a system that does not say")
	(*waits)(nil).look(now)

	w = newWaits(func() (time.Duration, time.Duration, error) { return time.Second, time.Second, nil }, func(s bool) { asleep = s })
	asleep = false
	w.look(now)
	assert.True(t, asleep, "a process that waited as it started")
}

func TestThreadTimesGrow(t *testing.T) {
	before, _, err := threadTimes()
	if err != nil {
		t.Skip(err)
	}
	for begin := time.Now(); time.Since(begin) < 30*time.Millisecond; {
	}
	after, delayed, err := threadTimes()
	require.NoError(t, err)
	assert.Greater(t, after, before)
	assert.GreaterOrEqual(t, delayed, time.Duration(0))
}

func TestWaysOfWaitingChangeWhileOperatorsRun(t *testing.T) {
	for range 20 {
		for _, sleep := range []bool{true, true, false, false} {
			libtorch.SleepWhileWaiting(sleep)
			inDo(t, func(s *Scope) {
				x := s.Full(1, F32(CPU), 200_000)
				for _, v := range Values[float32](x.Add(x)) {
					require.Equal(t, float32(2), v)
				}
			})
		}
	}
}
