package processor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// around returns the control group that a file like /proc/self/cgroup names and those around it, up to the root: that of a
// controller of version 1, or, without a name, of version 2.
func around(self, controller string) []string {
	group := "/"
	if text, err := os.ReadFile(self); err == nil {
		for line := range strings.Lines(string(text)) {
			parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(parts) == 3 && slices.Contains(strings.Split(parts[1], ","), controller) {
				group = filepath.Clean("/" + parts[2])
			}
		}
	}
	out := []string{group}
	for group != "/" {
		group = filepath.Dir(group)
		out = append(out, group)
	}
	return out
}
