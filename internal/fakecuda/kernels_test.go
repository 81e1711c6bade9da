package fakecuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// kernel returns the source of a kernel of this module, behind what is put in front of all.
func kernel(t *testing.T, name string) string {
	read := func(file string) string {
		data, err := os.ReadFile(filepath.Join("..", "libtorch", "cuda", file))
		require.NoError(t, err)
		return string(data)
	}
	text := read("numbers.cuh")
	if name != "numbers" {
		text += read(name + ".cu")
	}
	for _, shared := range []string{"block_sum.cuh", "pooling.cuh", "warps.cuh"} {
		text = strings.ReplaceAll(text, `#include "`+shared+`"`, read(shared))
	}
	return text
}

var kernels = []string{"attention", "boxes", "dynamic_conv", "masks", "mask_dice", "nms", "norms", "numbers", "predict_boxes", "roi_align", "stage_losses"}

// A checker compiles the checks of kernels with a sanitizer, and runs them.
type checker struct {
	dir   string
	flags []string
	run   []string // in front of a program
}

// memory returns the checker with AddressSanitizer.
func memory(t *testing.T) checker {
	c := checker{dir: Sources(t), flags: []string{"-std=c++17", "-O0", "-fsanitize=address"}, run: []string{"env", "ASAN_OPTIONS=detect_leaks=0"}}
	c.compileHeader(t)
	return c
}

// races returns the checker with ThreadSanitizer. The test is skipped where that is missing or does not start: some of its
// releases cannot with addresses as random as the system's, which containers may forbid to change.
func races(t *testing.T) checker {
	options := "TSAN_OPTIONS=halt_on_error=1"
	c := checker{dir: Sources(t), flags: []string{"-std=c++17", "-O0", "-g1", "-fsanitize=thread"}}
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "empty.cc"), []byte("int main() {}"), 0o600))
	compile := proctest.Command(t, compiler(t), "-fsanitize=thread", "-o", "empty", "empty.cc")
	compile.Dir = c.dir
	out, err := compile.CombinedOutput()
	if err != nil {
		t.Skipf("needs ThreadSanitizer's library, which is not installed: %v\n%s", err, out)
	}
	c.run = []string{"setarch", "-R", "env", options}
	if c.command(t, "./empty").Run() != nil {
		c.run = []string{"env", options}
	}
	if out, err := c.command(t, "./empty").CombinedOutput(); err != nil {
		t.Skipf("ThreadSanitizer does not start on this machine: %v\n%s", err, out)
	}
	c.compileHeader(t)
	return c
}

func (c checker) compileHeader(t *testing.T) {
	Compile(t, c.dir, append(c.flags, "-x", "c++-header", "check.h")...)
}

func (c checker) command(t *testing.T, program string) *exec.Cmd {
	cmd := proctest.Command(t, c.run[0], append(c.run[1:], program)...)
	cmd.Dir = c.dir
	return cmd
}

// check compiles a kernel's check with its source, and runs it.
func (c checker) check(t *testing.T, name, source string) (out string, err error) {
	file := filepath.Join(c.dir, name+".cu")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	program := "./" + name + ".check"
	Compile(t, c.dir, append(c.flags, `-DKERNEL="`+file+`"`, "-o", program, "check_"+name+".cc")...)
	text, err := c.command(t, program).CombinedOutput()
	return string(text), err
}

func (c checker) pass(t *testing.T) {
	for _, name := range kernels {
		t.Run(name, func(t *testing.T) {
			out, err := c.check(t, name, kernel(t, name))
			require.NoError(t, err, out)
			t.Log(out)
		})
	}
}

// The kernels compute what they should, within their memory, whichever thread runs first.
func TestKernels(t *testing.T) { memory(t).pass(t) }

// No two threads of a kernel, nor two blocks, use the same memory without a barrier or atomics between them.
func TestKernelRaces(t *testing.T) { races(t).pass(t) }

// A fault is a change of a kernel, and what its check has to say.
type fault struct{ name, kernel, right, wrong, says string }

func (c checker) find(t *testing.T, faults []fault) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			source := kernel(t, f.kernel)
			require.Contains(t, source, f.right)
			out, err := c.check(t, f.kernel, strings.Replace(source, f.right, f.wrong, 1))
			var status *exec.ExitError
			require.ErrorAs(t, err, &status, out)
			require.Contains(t, out, f.says)
		})
	}
}

// The checks find faults of the kinds that a GPU hides.
func TestKernelsWithFaults(t *testing.T) {
	memory(t).find(t, []fault{
		{"a missing barrier", "masks", "  __syncthreads();\n  for (int i = blockIdx.x", "  for (int i = blockIdx.x", "the result depends on the order of threads"},
		{"a pixel too many", "masks", "i < in.fw * in.fh;", "i <= in.fw * in.fh;", "AddressSanitizer: heap-buffer-overflow"},
		{"a barrier for some threads", "mask_dice", "  __syncthreads();\n  T sum = 0;", "  if (threadIdx.x < 40) __syncthreads();\n  T sum = 0;", "barrier"},
		{"a wrong gradient", "mask_dice", "slope1 = T(4)", "slope1 = T(2)", "gradients is off"},
		{"a missing barrier in a warp", "norms", "  __syncwarp();\n", "", "the result depends on the order of threads"},
		{"a row too many", "norms", "if (row >= rows) return;", "if (row > rows) return;", "AddressSanitizer"},
		{"halves rounded down", "numbers", "0xc8000fffu + (u >> 13 & 1u)", "0xc8000000u", "float16 is not the nearest"},
		{"a loss of half the block", "stage_losses", "  __syncthreads();\n  T sum = 0;", "  T sum = 0;", "the result depends on the order of threads"},
		{"a gradient without the union's", "stage_losses", "dcommon = dgiou / all - dall", "dcommon = dgiou / all", "gradients is off"},
		{"a missing barrier between products", "dynamic_conv", "  __syncthreads();\n  multiply<WIDTH, CHANNELS>", "  multiply<WIDTH, CHANNELS>", "the result depends on the order of threads"},
		{"a bin too many", "dynamic_conv", "b < count; b += kWarps) {\n    norm_relu<CHANNELS>", "b < TILE; b += kWarps) {\n    norm_relu<CHANNELS>", "AddressSanitizer"},
		{"keys that are gone", "attention", "    __syncthreads();\n    for (int i = threadIdx.x", "    for (int i = threadIdx.x", "the result depends on the order of threads"},
		{"a proposal too many", "predict_boxes", "n - first < 4 ? static_cast<int>(n - first) : 4", "4", "AddressSanitizer"},
		{"what is kept is not told", "nms", "      chosen = in;\n    }\n    __syncthreads();", "      chosen = in;\n    }", "the result depends on the order of threads"},
		{"ties the other way round", "nms", "s == score && j < i", "s == score && j > i", "the kept boxes are others"},
		{"a word too many", "nms", "later < words; later", "later <= words + MOST / 64; later", "AddressSanitizer"},
		{"a level beyond the pyramid", "roi_align", "of < levels.count ? int(of) : levels.count - 1", "int(of)", "AddressSanitizer"},
	})
}

// ThreadSanitizer finds what the two orders of threads do not, besides much that they do.
func TestKernelRacesWithFaults(t *testing.T) {
	const race = "ThreadSanitizer: data race"
	races(t).find(t, []fault{
		{"a missing barrier", "masks", "  __syncthreads();\n  for (int i = blockIdx.x", "  for (int i = blockIdx.x", race},
		{"a missing barrier behind a sum", "stage_losses", "  __syncthreads();\n  return sum;", "  return sum;", race},
		{"a warp's barrier for a block's", "predict_boxes", "    __syncthreads();\n    if (warp < 4)", "    __syncwarp();\n    if (warp < 4)", race},
		// In either order the results of these are right.
		{"a shuffle for a barrier", "norms", "  __syncwarp();\n", "  __shfl_down_sync(~0u, v, 1);\n", race},
		{"a row of two warps", "norms", "if (row >= rows) return;", "if (row >= rows) row = rows - 1, first = row * SIZE;", race},
		{"a sum of two blocks", "mask_dice", "atomicAdd(dfeatures + first + c * pixels + i, up[c])", "dfeatures[first + c * pixels + i] += up[c]", race},
		{"a count of all threads", "nms", "atomicAdd(count + view, 1)", "count[view]++", race},
	})
}
