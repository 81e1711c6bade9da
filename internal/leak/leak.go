// Package leak finds goroutines that tests leave behind.
package leak

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long a goroutine may take to end: it may be on a busy machine.
const patience = 20 * time.Second

// Main runs a package's tests, for its TestMain, and ends the process. It fails if goroutines
// are left, but not where it fuzzes, which has goroutines of its own.
func Main(m *testing.M) {
	code := m.Run()
	if code != 0 || flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(code)
	}
	if left := wait(nil); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "leak: %d goroutines are left after the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// Check fails the test if goroutines are left at its end that were not there when Check was
// called. It is for tests that are not parallel.
func Check(t testing.TB) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		if left := wait(before); len(left) > 0 {
			t.Errorf("leak: %d goroutines are left:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	})
}

// wait returns the goroutines that are not in before and do not end.
func wait(before []string) []string {
	known := map[string]bool{}
	for _, g := range before {
		known[number(g)] = true
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		left := slices.DeleteFunc(goroutines(), func(g string) bool { return known[number(g)] })
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// number is the number of a goroutine.
func number(stack string) string {
	name, _, _ := strings.Cut(stack, " [")
	return name
}

// goroutines returns the stacks of all goroutines but the caller's and those that are meant
// to stay.
func goroutines() []string {
	text := make([]byte, 1<<20)
	for {
		n := runtime.Stack(text, true)
		if n < len(text) {
			text = text[:n]
			break
		}
		text = make([]byte, 2*len(text))
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	return slices.DeleteFunc(all[1:], stays)
}

// stays reports whether a goroutine lives as long as the process: a worker of torch.Do, but
// not of a torch.Team, or the package os/signal's own. The goroutine of testing waits for a test. One without frames
// stands for a thread of LibTorch that has called Go.
func stays(stack string) bool {
	if strings.Contains(stack, " [syscall, locked to thread]:\nruntime.goexit(") {
		return true
	}
	const worker = "github.com/diffusioninst/go/torch.(*worker).work"
	return strings.Contains(stack, worker+"(") && (strings.Contains(stack, "created by github.com/diffusioninst/go/torch.start ") || strings.Contains(stack, "created by "+worker+".")) ||
		strings.Contains(stack, "\nos/signal.loop(") || strings.Contains(stack, "\ntesting.(*T).Run(") || strings.Contains(stack, "\ntesting.(*F).Fuzz(")
}
