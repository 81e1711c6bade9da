//go:build !linux

package torch

import "sync/atomic"

var threads atomic.Int64

// threadID returns a number that it has not returned before: no thread is known again.
func threadID() int { return int(threads.Add(1)) }
