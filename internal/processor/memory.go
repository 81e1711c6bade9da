package processor

import (
	"path/filepath"
	"strconv"
)

// Memory returns a container's limit on memory in bytes, or 0 if there is none.
func Memory() int64 { return memory("/proc/self/cgroup", "/sys/fs/cgroup") }

// unlimited is from where on a limit is none: version 1 writes the largest number of pages.
const unlimited = 1 << 60

// memory is the least limit of the control group that a file like /proc/self/cgroup names and of those around it.
func memory(self, root string) int64 {
	least := int64(0)
	note := func(path string) {
		f := fields(path)
		if len(f) != 1 {
			return
		}
		if n, err := strconv.ParseInt(f[0], 10, 64); err == nil && n > 0 && n < unlimited && (least == 0 || n < least) { // "max" is none
			least = n
		}
	}
	for _, at := range around(self, "") {
		note(filepath.Join(root, at, "memory.max"))
	}
	for _, at := range around(self, "memory") {
		note(filepath.Join(root, "memory", at, "memory.limit_in_bytes"))
	}
	return least
}
