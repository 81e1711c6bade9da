//go:build cgo && linux

package main

import (
	"os/exec"
	"syscall"
)

// alone gives a process a group of its own, so that Ctrl-C reaches it through this program alone, and
// ends it with this program.
func alone(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
