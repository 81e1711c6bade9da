// Package processes binds LibTorch's c10d, which PyTorch's DistributedDataParallel stands on: a
// key-value store over TCP and collective operations over gloo, on the CPU's memory. It is a
// package of its own so that programs that do not import it are as they were.
package processes

// #cgo CXXFLAGS: -std=c++20 -O2 -g0 -Wno-deprecated-declarations
// #cgo LDFLAGS: -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 -ldl
// #include <stdlib.h>
// #include "processes.h"
import "C"

import (
	"errors"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// Available reports whether gloo's headers were there when the program was built.
func Available() bool { return bool(C.dp_available()) }

func take(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}

// milliseconds is at least 1: 0 is for ever.
func milliseconds(d time.Duration) C.int64_t { return C.int64_t(max(d.Milliseconds(), 1)) }

// A Store is a connection to a key-value store. It may be used by several goroutines.
type Store struct{ s C.dp_store }

// OpenStore connects to the store at an address, which it opens first if listen is set; port 0 then
// takes a free one. It returns the port.
func OpenStore(host string, port int, listen bool, timeout time.Duration) (*Store, int, error) {
	h := C.CString(host)
	defer C.free(unsafe.Pointer(h))
	s, p := &Store{}, C.int(port)
	err := take(C.dp_store_open(h, &p, C.bool(listen), milliseconds(timeout), &s.s))
	return s, int(p), err
}

// SetTimeout sets how long later calls wait.
func (s *Store) SetTimeout(d time.Duration) { C.dp_store_timeout(s.s, milliseconds(d)) }

// Close ends the connection, and the store if it was opened with it.
func (s *Store) Close() { C.dp_store_free(s.s) }

// Set gives a key a value, which is not empty.
func (s *Store) Set(key string, value []byte) error {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	return take(C.dp_store_set(s.s, k, unsafe.Pointer(&value[0]), C.size_t(len(value))))
}

// Get returns the value of a key, nil if the key is absent.
func (s *Store) Get(key string) ([]byte, error) {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	var data unsafe.Pointer
	var n C.size_t
	if err := take(C.dp_store_get(s.s, k, &data, &n)); err != nil || data == nil {
		return nil, err
	}
	defer C.free(data)
	return append([]byte{}, unsafe.Slice((*byte)(data), int(n))...), nil
}

// Add adds a number to that of a key and returns the sum.
func (s *Store) Add(key string, n int64) (int64, error) {
	k := C.CString(key)
	defer C.free(unsafe.Pointer(k))
	value := C.int64_t(n)
	err := take(C.dp_store_add(s.s, k, &value))
	return int64(value), err
}

// A Group is the connections of a process to all others.
type Group struct {
	g    C.dp_group
	size int
}

// OpenGroup connects the processes that do the same with a store and a prefix of its keys.
// address is that of this process on which the others reach it. An operation of the group that takes longer
// than timeout fails.
func OpenGroup(s *Store, prefix, address string, rank, size int, timeout time.Duration) (*Group, error) {
	p, a := C.CString(prefix), C.CString(address)
	defer C.free(unsafe.Pointer(p))
	defer C.free(unsafe.Pointer(a))
	g := &Group{size: size}
	return g, take(C.dp_group_open(s.s, p, a, C.int(rank), C.int(size), milliseconds(timeout), &g.g))
}

// Close ends the connections.
func (g *Group) Close() { C.dp_group_free(g.g) }

// A Work is an operation in progress, whose memory, which is not empty, stays where it is until Free. With
// &data[0] cgo checks that memory alone for Go pointers, and not the whole struct that it may lie in.
type Work struct {
	w      C.dp_work
	pinned runtime.Pinner
}

func begin(start func(w *Work) *C.char, memory ...[]byte) (*Work, error) {
	w := &Work{}
	for _, m := range memory {
		w.pinned.Pin(&m[0])
	}
	if err := take(start(w)); err != nil {
		w.pinned.Unpin()
		return nil, err
	}
	return w, nil
}

// Sum replaces data, elements of a size in bytes and an at::ScalarType, by the sums over all processes.
func (g *Group) Sum(data []byte, size, dtype int) (*Work, error) {
	return begin(func(w *Work) *C.char {
		return C.dp_sum(g.g, unsafe.Pointer(&data[0]), C.size_t(len(data)/size), C.int(dtype), &w.w)
	}, data)
}

// Broadcast replaces data by that of process root.
func (g *Group) Broadcast(data []byte, root int) (*Work, error) {
	return begin(func(w *Work) *C.char {
		return C.dp_broadcast(g.g, unsafe.Pointer(&data[0]), C.size_t(len(data)), C.int(root), &w.w)
	}, data)
}

// AllGather fills all with what each process passes, equally many bytes, one after the other.
func (g *Group) AllGather(mine, all []byte) (*Work, error) {
	return begin(func(w *Work) *C.char {
		return C.dp_all_gather(g.g, unsafe.Pointer(&mine[0]), unsafe.Pointer(&all[0]), C.size_t(len(mine)), C.int(g.size), &w.w)
	}, mine, all)
}

// Wait waits for a time and reports whether the work is over; the error is that of the work.
func (w *Work) Wait(d time.Duration) (over bool, err error) {
	var done C.bool
	err = take(C.dp_work_wait(w.w, milliseconds(d), &done))
	return bool(done), err
}

// abandoned are works that did not end, whose memory stays in use.
var abandoned struct {
	sync.Mutex
	works []*Work
}

// Abandon gives up a work that is not over.
func (w *Work) Abandon() {
	abandoned.Lock()
	defer abandoned.Unlock()
	abandoned.works = append(abandoned.works, w)
}

// Free releases a work that is over.
func (w *Work) Free() {
	C.dp_work_free(w.w)
	w.pinned.Unpin()
}
