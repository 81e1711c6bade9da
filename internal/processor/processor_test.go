package processor

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func put(t *testing.T, root string, files map[string]string) string {
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	return root
}

func TestCores(t *testing.T) {
	require.GreaterOrEqual(t, Cores(), 1)
	require.LessOrEqual(t, Cores(), runtime.NumCPU())
}

// Of four cores with two threads each a process that is held to two of them has two.
func TestPhysicalCores(t *testing.T) {
	files := map[string]string{}
	for cpu, siblings := range map[string]string{"0": "0,4", "1": "1,5", "2": "2,6", "3": "3,7", "4": "0,4", "5": "1,5", "6": "2,6", "7": "3,7"} {
		files["devices/system/cpu/cpu"+cpu+"/topology/thread_siblings_list"] = siblings + "\n"
	}
	sys := put(t, t.TempDir(), files)
	require.Equal(t, 4, physical(sys, nil))
	require.Equal(t, 2, physical(sys, func(cpu int) bool { return cpu == 0 || cpu == 1 || cpu == 4 || cpu == 5 }))
	require.Equal(t, 2, physical(sys, func(cpu int) bool { return cpu == 6 || cpu == 7 }))
	require.Zero(t, physical(t.TempDir(), nil))
}

func TestAffinity(t *testing.T) { require.Equal(t, Affinity(), Affinity()) }

func TestQuota(t *testing.T) {
	for name, c := range map[string]struct {
		self  string
		files map[string]string
		want  float64
	}{
		"none":              {"0::/\n", map[string]string{"cpu.max": "max 100000\n"}, 0},
		"no groups":         {"", nil, 0},
		"one and a half":    {"0::/\n", map[string]string{"cpu.max": "150000 100000\n"}, 1.5},
		"of a group around": {"1:name=x:/other\n0::/a/b\n", map[string]string{"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "200000 100000\n", "other/cpu.max": "1 100000\n"}, 0.5},
		"version 1":         {"3:cpu,cpuacct:/x\n", map[string]string{"cpu,cpuacct/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 3},
		"version 1, none":   {"3:cpu:/x\n", map[string]string{"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0},
		"garbage":           {"0::\n", map[string]string{"cpu.max": "a b\n"}, 0},
	} {
		root := put(t, t.TempDir(), c.files)
		self := filepath.Join(put(t, t.TempDir(), map[string]string{"self": c.self}), "self")
		require.Equal(t, c.want, quota(self, root), name)
	}
}

func TestMemory(t *testing.T) {
	for name, c := range map[string]struct {
		self  string
		files map[string]string
		want  int64
	}{
		"none":                    {"0::/\n", map[string]string{"memory.max": "max\n"}, 0},
		"no groups":               {"", nil, 0},
		"a container":             {"0::/\n", map[string]string{"memory.max": "4294967296\n"}, 4 << 30},
		"of a group around":       {"0::/job/step\n", map[string]string{"job/memory.max": "1000\n", "job/step/memory.max": "max\n", "other/memory.max": "1\n"}, 1000},
		"version 1":               {"4:memory:/job/step\n0::/\n", map[string]string{"memory/job/memory.limit_in_bytes": "2000\n", "memory/job/step/memory.limit_in_bytes": "9223372036854771712\n"}, 2000},
		"version 1, its own root": {"4:memory:/docker/abc\n", map[string]string{"memory/memory.limit_in_bytes": "3000\n"}, 3000},
		"version 1, none":         {"4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"garbage":                 {"0::\n", map[string]string{"memory.max": "a\n"}, 0},
	} {
		root := put(t, t.TempDir(), c.files)
		self := filepath.Join(put(t, t.TempDir(), map[string]string{"self": c.self}), "self")
		require.Equal(t, c.want, memory(self, root), name)
	}
}

func TestLessThanAMX(t *testing.T) {
	for isa, less := range map[string]bool{"": false, "all": false, "AVX512_CORE_AMX": false, "avx512_core_amx_fp16": false, "AVX512_CORE_BF16": true, "avx2": true} {
		for _, name := range []string{"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} {
			require.Equal(t, less, lessThanAMX(func(n string) string { return map[string]string{name: isa}[n] }), isa)
		}
	}
}
