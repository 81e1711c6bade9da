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

var sanitized = []string{"-std=c++17", "-O0", "-fsanitize=address"}

// checks returns the folder of the checks, with their header compiled.
func checks(t *testing.T) string {
	dir := Sources(t)
	Compile(t, dir, append(sanitized, "-x", "c++-header", "check.h")...)
	return dir
}

// check compiles a kernel's check with its source under AddressSanitizer, and runs it.
func check(t *testing.T, dir, name, source string) (out string, err error) {
	file := filepath.Join(dir, name+".cu")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	program := "./" + name + ".check"
	Compile(t, dir, append(sanitized, `-DKERNEL="`+file+`"`, "-o", program, "check_"+name+".cc")...)
	cmd := proctest.Command(t, program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0")
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// The kernels compute what they should, within their memory, whichever thread runs first.
func TestKernels(t *testing.T) {
	dir := checks(t)
	for _, name := range []string{"attention", "boxes", "dynamic_conv", "masks", "mask_dice", "nms", "norms", "numbers", "predict_boxes", "roi_align", "stage_losses"} {
		t.Run(name, func(t *testing.T) {
			out, err := check(t, dir, name, kernel(t, name))
			require.NoError(t, err, out)
			t.Log(out)
		})
	}
}

// The checks find faults of the kinds that a GPU hides.
func TestKernelsWithFaults(t *testing.T) {
	dir := checks(t)
	for _, c := range []struct{ fault, kernel, right, wrong, says string }{
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
	} {
		t.Run(c.fault, func(t *testing.T) {
			source := kernel(t, c.kernel)
			require.Contains(t, source, c.right)
			out, err := check(t, dir, c.kernel, strings.Replace(source, c.right, c.wrong, 1))
			var status *exec.ExitError
			require.ErrorAs(t, err, &status, out)
			require.Contains(t, out, c.says)
		})
	}
}
