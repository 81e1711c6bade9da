package torch

import "syscall"

// threadID returns the number of the thread that the caller runs on.
func threadID() int { return syscall.Gettid() }
