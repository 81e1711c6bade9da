package torch

import (
	"cmp"
	"os"
	"strconv"

	"github.com/diffusioninst/go/internal/processor"
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
	return processor.Cores()
}
