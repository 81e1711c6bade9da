package processor

import "golang.org/x/sys/unix"

// allowed returns which processors this process may run on, nil for all.
func allowed() func(cpu int) bool {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	return set.IsSet
}
