package torch

import (
	"sync"
	"time"

	"github.com/diffusioninst/go/internal/libtorch"
)

// CacheMemory keeps freed memory of tensors on the CPU for the tensors to come, until
// release is called: for a loop that asks for the same sizes over and over, as
// training does. Fresh memory is cleared by the system page by page, which can take a
// third of the loop's time. At most a quarter more than the greatest need is held.
// Uses may overlap; memory goes back to the system when the last one is released.
func CacheMemory() (release func()) {
	libtorch.CacheMemory(1, 1)
	return sync.OnceFunc(func() { libtorch.CacheMemory(-1, -1) })
}

// idleMemory is how long ReuseMemory keeps memory for the next use.
const idleMemory = time.Second

// reused says who uses ReuseMemory.
var reused struct {
	sync.Mutex
	uses int
	kept bool
	idle *time.Timer // runs after the last use
}

// ReuseMemory is CacheMemory for work that comes at any time, such as requests: what it holds goes
// back to the system a second after the last use has ended.
func ReuseMemory() (release func()) {
	reused.Lock()
	defer reused.Unlock()
	reused.uses++
	if reused.idle != nil {
		reused.idle.Stop()
	}
	keepers := 0
	if !reused.kept {
		reused.kept, keepers = true, 1
	}
	libtorch.CacheMemory(1, keepers)
	return sync.OnceFunc(func() {
		reused.Lock()
		defer reused.Unlock()
		reused.uses--
		libtorch.CacheMemory(-1, 0)
		if reused.uses == 0 {
			reused.idle = time.AfterFunc(idleMemory, giveBack)
		}
	})
}

// giveBack ends keeping if nothing has begun meanwhile.
func giveBack() {
	reused.Lock()
	defer reused.Unlock()
	if reused.uses == 0 && reused.kept {
		reused.kept = false
		libtorch.CacheMemory(0, -1)
	}
}

// CachedMemory returns the bytes that CacheMemory and ReuseMemory hold, in use or not.
func CachedMemory() int64 { return libtorch.CachedMemory() }
