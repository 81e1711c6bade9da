// Package processor says what this process may use of the machine's processor and memory.
package processor

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Cores returns how many threads that compute pay: one for each core that this process may run on, without hyper-threads, which
// share one arithmetic unit, and no more than its container's limit on processor time, rounded, and GOMAXPROCS.
func Cores() int {
	n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0))
	if physical := Physical(); physical > 0 {
		n = min(n, physical)
	}
	if limit := Quota(); limit > 0 {
		n = min(n, int(limit+0.5))
	}
	return max(n, 1)
}

// Physical returns how many cores this process may run on, or 0 if the system does not say.
func Physical() int { return physical("/sys", allowed()) }

// physical counts the groups of hyper-threads that have a member for which may is true; a nil may is true for all.
func physical(sys string, may func(cpu int) bool) int {
	siblings := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(sys, "devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list"))
	for _, f := range files {
		name := filepath.Base(filepath.Dir(filepath.Dir(f)))
		cpu, err := strconv.Atoi(strings.TrimPrefix(name, "cpu"))
		if err != nil || may != nil && !may(cpu) {
			continue
		}
		if text, err := os.ReadFile(f); err == nil {
			siblings[string(text)] = true
		}
	}
	return len(siblings)
}

// Quota returns how many processors a container's limit on processor time is worth, or 0 if there is none.
func Quota() float64 { return quota("/proc/self/cgroup", "/sys/fs/cgroup") }

// quota is the least limit of the control group that a file like /proc/self/cgroup names and of those around it: version 2, or version 1
// as containers see it.
func quota(self, root string) float64 {
	least := 0.0
	note := func(limit, period string) {
		l, err1 := strconv.ParseFloat(limit, 64)
		p, err2 := strconv.ParseFloat(period, 64)
		if err1 == nil && err2 == nil && l > 0 && p > 0 && (least == 0 || l/p < least) {
			least = l / p
		}
	}
	for _, at := range around(self, "") {
		if f := fields(filepath.Join(root, at, "cpu.max")); len(f) == 2 { // "max" is none
			note(f[0], f[1])
		}
	}
	for _, name := range []string{"cpu", "cpu,cpuacct"} {
		limit, period := fields(filepath.Join(root, name, "cpu.cfs_quota_us")), fields(filepath.Join(root, name, "cpu.cfs_period_us"))
		if len(limit) == 1 && len(period) == 1 {
			note(limit[0], period[0])
		}
	}
	return least
}

func fields(path string) []string {
	text, _ := os.ReadFile(path)
	return strings.Fields(string(text))
}

// AMX reports whether oneDNN multiplies bfloat16 numbers with AMX in this process: the processor has it, the system lets programs
// use its registers, and the environment does not hold oneDNN to less.
func AMX() bool { return hasAMX() && !lessThanAMX(os.Getenv) }

// lessThanAMX reports whether the variable of oneDNN that bounds its instructions names a set without AMX.
func lessThanAMX(getenv func(string) string) bool {
	isa := strings.ToUpper(getenv("ONEDNN_MAX_CPU_ISA"))
	if isa == "" {
		isa = strings.ToUpper(getenv("DNNL_MAX_CPU_ISA"))
	}
	return isa != "" && isa != "ALL" && isa != "DEFAULT" && !strings.Contains(isa, "AMX")
}
