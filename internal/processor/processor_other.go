//go:build !linux

package processor

import "golang.org/x/sys/cpu"

func allowed() func(cpu int) bool { return nil }

func hasAMX() bool { return cpu.X86.HasAMXBF16 }
