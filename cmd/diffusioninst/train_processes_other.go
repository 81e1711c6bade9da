//go:build cgo && !linux

package main

import "os/exec"

// alone does nothing where a process cannot be tied to this program.
func alone(*exec.Cmd) {}
