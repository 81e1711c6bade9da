//go:build unix

package proctest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestChild(t *testing.T) {
	c := Start(t, Command(t, "sh", "-c", "echo one; echo two >&2; sleep 1000"))
	c.WaitFor(t, "two")
	c.Kill()
	c.Kill()
	require.Equal(t, "one\ntwo\n", c.Output())
	require.ErrorContains(t, c.err, "killed")
	require.Equal(t, "done\n", string(Run(t, Command(t, "echo", "done"))))
}

func TestSignals(t *testing.T) {
	c := Start(t, Command(t, "sh", "-c", "echo ready; exec sleep 1000"))
	c.WaitFor(t, "ready")
	c.Signal(syscall.SIGTERM)
	require.Equal(t, 128+15, c.Wait())
	require.Equal(t, 3, Start(t, Command(t, "sh", "-c", "exit 3")).Wait())
}

// What a child started ends with it.
func TestKillEndsTheGroup(t *testing.T) {
	c := Start(t, Command(t, "sh", "-c", "sleep 1000 & echo $!; wait"))
	c.WaitFor(t, "\n")
	var pid int
	_, err := fmt.Sscan(c.Output(), &pid)
	require.NoError(t, err)
	c.Kill()
	require.Eventually(t, func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}, Limit, grace/100)
}

// failing is a test that fails without ending the real one.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func message(t *testing.T, run func(tb testing.TB)) string {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(f)
	}()
	<-done
	return f.message
}

func TestFailuresShowTheOutput(t *testing.T) {
	require.Regexp(t, `(?s)exit status 3.*wrong`, message(t, func(tb testing.TB) {
		Run(tb, Command(t, "sh", "-c", "echo wrong; exit 3"))
	}))
	require.Regexp(t, `(?s)ended before it printed "ready": exit status 1\nbad`, message(t, func(tb testing.TB) {
		Start(tb, Command(t, "sh", "-c", "echo bad; exit 1")).WaitFor(tb, "ready")
	}))
}

// A Go program that takes too long shows its goroutines.
func TestTooLong(t *testing.T) {
	if os.Getenv("PROCTEST_SLEEP") != "" {
		fmt.Println("sleeping")
		time.Sleep(time.Hour)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := command(ctx, os.Args[0], "-test.run=^TestTooLong$")
	cmd.Env = append(os.Environ(), "PROCTEST_SLEEP=1")
	c := Start(t, cmd)
	c.WaitFor(t, "sleeping")
	cancel()
	<-c.ended
	require.Contains(t, c.Output(), "goroutine 1")
}
