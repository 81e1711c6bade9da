package processor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// allowed returns which processors this process may run on, nil for all.
func allowed() func(cpu int) bool {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	return set.IsSet
}

// Affinity says which processors this process may run on: the same text for the same ones; empty if the system does not say.
func Affinity() string {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return ""
	}
	return fmt.Sprintf("%x", set)
}
