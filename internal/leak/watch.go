package leak

import (
	"encoding/csv"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Watch compares what the process holds after the rounds of a long test.
type Watch struct {
	t           testing.TB
	start       time.Time
	first, last usage
	calls       int
	rows        *csv.Writer
}

// usage is what the process holds; 0 where the kernel does not tell.
type usage struct {
	tensors                    int64
	goroutines, threads, files int
	resident                   int // kB
}

// NewWatch begins. The rounds are written to the CSV file at path, which docs/soak.go draws, if it
// is not empty.
func NewWatch(t testing.TB, path string) *Watch {
	t.Helper()
	w := &Watch{t: t, start: time.Now()}
	if path == "" {
		return w
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // each round has been written
	w.rows = csv.NewWriter(f)
	w.row("seconds", "calls", "tensors", "goroutines", "threads", "files", "resident_kb")
	return w
}

// Round notes what is held after a round, when nothing runs. calls counts all rounds so far.
func (w *Watch) Round(calls int, tensors int64) {
	w.t.Helper()
	debug.FreeOSMemory()
	w.last = usage{tensors: tensors, goroutines: runtime.NumGoroutine(), threads: status("Threads"), resident: status("VmRSS")}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		w.last.files = len(files)
	}
	if w.calls == 0 {
		w.first = w.last
	}
	w.calls = calls
	if w.rows != nil {
		w.row(strconv.FormatFloat(time.Since(w.start).Seconds(), 'f', 1, 64), strconv.Itoa(calls), strconv.FormatInt(tensors, 10),
			strconv.Itoa(w.last.goroutines), strconv.Itoa(w.last.threads), strconv.Itoa(w.last.files), strconv.Itoa(w.last.resident))
	}
}

func (w *Watch) row(cells ...string) {
	w.t.Helper()
	_ = w.rows.Write(cells)
	w.rows.Flush()
	if err := w.rows.Error(); err != nil {
		w.t.Fatal(err)
	}
}

// Flat fails the test if more is held after the last round than after the first: any tensor,
// goroutine or file, more threads than MoreThreads, or a tenth of the memory.
func (w *Watch) Flat() {
	w.t.Helper()
	w.t.Logf("%d calls in %v: after the first round %+v, after the last %+v", w.calls, time.Since(w.start).Round(time.Second), w.first, w.last)
	a, b := w.first, w.last
	if a.tensors != b.tensors || b.goroutines > a.goroutines || b.threads > a.threads+MoreThreads() || b.files > a.files || b.resident > a.resident+a.resident/10 {
		w.t.Errorf("leak: more is held after %d calls than after the first round", w.calls)
	}
}

// status is a number of /proc/self/status, in kB or without unit.
func status(name string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(value)[0])
			return n
		}
	}
	return 0
}

// MoreThreads is how many threads a process that leaks none may have more than before: two of Go's, and
// the team of OpenMP's that is asleep while the machine is busy, one more than processors
// (internal/libtorch/blas.hpp).
func MoreThreads() int { return 2 + runtime.NumCPU() + 1 }
