//go:build !linux

package processor

import "golang.org/x/sys/cpu"

func allowed() func(cpu int) bool { return nil }

// Affinity says which processors this process may run on; here the system does not say.
func Affinity() string { return "" }

func hasAMX() bool { return cpu.X86.HasAMXBF16 }
