package processes

// #include <stdlib.h>
// #include "nccl.h"
import "C"

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// ErrNoNCCL says that there is no library of NCCL.
var ErrNoNCCL = errors.New("there is no NCCL")

// LoadNCCL opens NCCL's library under a name, or the usual one if that is empty, and returns its version,
// such as 22005 for 2.20.5. Without a library the error wraps ErrNoNCCL.
func LoadNCCL(name string) (version int, err error) {
	var n *C.char
	if name != "" {
		n = C.CString(name)
		defer C.free(unsafe.Pointer(n))
	}
	var missing C.bool
	var v C.int
	if err := take(C.dp_nccl_load(n, &missing, &v)); err != nil {
		if missing {
			err = errors.Join(ErrNoNCCL, err)
		}
		return 0, err
	}
	return int(v), nil
}

// NewNCCLID returns an id, which all members of a communicator need.
func NewNCCLID() ([]byte, error) {
	id := make([]byte, C.DP_NCCL_ID)
	return id, take(C.dp_nccl_new_id((*C.char)(unsafe.Pointer(&id[0]))))
}

// A Communicator connects a GPU with others.
type Communicator struct {
	c     C.dp_nccl
	use   sync.RWMutex // read by calls that use c
	ended atomic.Bool
}

var errEnded = errors.New("NCCL: the communicator has been ended")

// leave is how long Abort lets calls end by themselves.
const leave = time.Second

// during calls f unless the communicator has ended, which it then does not meanwhile.
func (c *Communicator) during(f func() error) error {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.ended.Load() {
		return errEnded
	}
	return f()
}

// OpenCommunicator joins the members that do the same with an id of NewNCCLID. It waits for all, for as long as they take.
func OpenCommunicator(device int, id []byte, rank, size int) (*Communicator, error) {
	if len(id) != C.DP_NCCL_ID {
		return nil, errors.New("an id of another length")
	}
	c := &Communicator{}
	return c, take(C.dp_nccl_open(C.int(device), (*C.char)(unsafe.Pointer(&id[0])), C.int(rank), C.int(size), &c.c))
}

// Sum enqueues in a stream that elements of an at::ScalarType at an address of the GPU are replaced by the sums over
// all members.
func (c *Communicator) Sum(address uintptr, elements, dtype int, stream uintptr) error {
	return c.during(func() error {
		return take(C.dp_nccl_sum(c.c, pointer(address), C.size_t(elements), C.int(dtype), pointer(stream)))
	})
}

// pointer is a number as C has it, which Go's rules for pointers do not reach.
func pointer(number uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&number)) }

// Err returns what has gone wrong meanwhile.
func (c *Communicator) Err() error {
	return c.during(func() error { return take(C.dp_nccl_error(c.c)) })
}

// Abort ends what is enqueued, and the communicator, whatever the others do. A call of Sum that waits for others, which NCCL
// allows to be aborted, gets a second to end.
func (c *Communicator) Abort() error {
	if c.ended.Swap(true) {
		return errEnded
	}
	for end := time.Now().Add(leave); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if c.use.TryLock() {
			defer c.use.Unlock()
			break
		}
	}
	return take(C.dp_nccl_abort(c.c))
}

// Close ends the communicator, of which nothing is enqueued.
func (c *Communicator) Close() error {
	if c.ended.Swap(true) {
		return errEnded
	}
	c.use.Lock()
	defer c.use.Unlock()
	return take(C.dp_nccl_close(c.c))
}

// GPU returns the own number of a GPU, which is the same in every process.
func GPU(device int) ([]byte, error) {
	uuid := make([]byte, 16)
	return uuid, take(C.dp_gpu_uuid(C.int(device), (*C.char)(unsafe.Pointer(&uuid[0]))))
}
