package torch

import (
	"sync"

	"github.com/diffusioninst/go/internal/libtorch"
)

// CacheMemory keeps freed memory of tensors on the CPU for the tensors to come, until
// release is called: for a loop that asks for the same sizes over and over, as
// training does. Fresh memory is cleared by the system page by page, which can take a
// third of the loop's time. At most a quarter more than the greatest need is held.
// Uses may overlap; memory goes back to the system when the last one is released.
func CacheMemory() (release func()) {
	libtorch.CacheMemory(true)
	return sync.OnceFunc(func() { libtorch.CacheMemory(false) })
}

// CachedMemory returns the bytes that CacheMemory holds, in use or not.
func CachedMemory() int64 { return libtorch.CachedMemory() }
