//go:build unix

// Package proctest runs child processes in tests. A child is bounded in time and ends with
// the test, with all processes that it started; a test that fails because of it shows its
// output, and the goroutines of a Go program that took too long.
package proctest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Limit is how long a child may take: long enough for a busy machine. DIFFUSIONINST_LIMIT=20m is
// another limit, for runs that take long on purpose.
var Limit = limit()

func limit() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("DIFFUSIONINST_LIMIT")); err == nil {
		return d
	}
	return 5 * time.Minute
}

// grace is the time that a child has to print its goroutines before it is killed.
const grace = 5 * time.Second

// Command returns a command that is ended after Limit and at the end of the test.
func Command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	return command(ctx, name, args...)
}

// command returns a command that is ended with ctx, and its goroutines printed.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		_ = cmd.Process.Signal(syscall.SIGQUIT) // a Go program prints its goroutines and ends
		time.AfterFunc(grace, func() { _ = killGroup(cmd) })
		return nil
	}
	cmd.WaitDelay = 2 * grace
	return cmd
}

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// Run runs a command of Command to its end and returns what it printed. The test fails
// unless the command succeeds.
func Run(t testing.TB, cmd *exec.Cmd) []byte {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return out
}

// Child is a process that runs beside the test.
type Child struct {
	cmd   *exec.Cmd
	out   output
	ended chan struct{}
	err   error
}

// Start starts a command of Command, which is killed at the end of the test.
func Start(t testing.TB, cmd *exec.Cmd) *Child {
	t.Helper()
	c := &Child{cmd: cmd, ended: make(chan struct{})}
	c.out.changed = make(chan struct{}, 1)
	cmd.Stdout, cmd.Stderr = &c.out, &c.out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(c.Kill)
	return c
}

// WaitFor waits until the child has printed a text. The test fails if it ends before.
func (c *Child) WaitFor(t testing.TB, text string) {
	t.Helper()
	for !c.out.has(text) {
		select {
		case <-c.out.changed:
		case <-c.ended:
			if !c.out.has(text) {
				t.Fatalf("%s: ended before it printed %q: %v\n%s", c.cmd, text, c.err, c.Output())
			}
		}
	}
}

// Ended reports whether the child has ended.
func (c *Child) Ended() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// Signal sends a signal to the child, unless it has ended.
func (c *Child) Signal(sig syscall.Signal) { _ = c.cmd.Process.Signal(sig) }

// Wait waits for the end of the child and returns its exit status, with 128 plus the number
// of the signal, as a shell has it, if a signal ended it.
func (c *Child) Wait() int {
	<-c.ended
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return c.cmd.ProcessState.ExitCode()
}

// Kill kills the child and all that it started, and waits for it.
func (c *Child) Kill() {
	if !c.Ended() {
		_ = killGroup(c.cmd)
		<-c.ended
	}
}

// Output returns what the child has printed so far.
func (c *Child) Output() string {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.text.String()
}

// output is a buffer that says when it grows.
type output struct {
	sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.Lock()
	defer o.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) has(text string) bool {
	o.Lock()
	defer o.Unlock()
	return bytes.Contains(o.text.Bytes(), []byte(text))
}
