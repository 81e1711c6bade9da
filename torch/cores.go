package torch

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// Threads returns how many threads one operator of Do uses; see SetThreads.
func Threads() int {
	pool.Lock()
	defer pool.Unlock()
	return cmp.Or(pool.threads, defaultThreads())
}

// defaultThreads is how many threads there are to share out.
func defaultThreads() int {
	if n, err := strconv.Atoi(os.Getenv("OMP_NUM_THREADS")); err == nil && n > 0 {
		return n
	}
	return physicalCores()
}

// physicalCores counts the cores without their hyper-threads, which share one
// arithmetic unit; at most the CPUs that this process may use, and its container's limit on processor
// time, which Go's runtime knows.
func physicalCores() int {
	siblings := map[string]bool{}
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil {
			siblings[string(text)] = true
		}
	}
	most := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	if n := len(siblings); n > 0 {
		return min(n, most)
	}
	return most
}
