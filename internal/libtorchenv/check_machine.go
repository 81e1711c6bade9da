package libtorchenv

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/diffusioninst/go/internal/processor"
)

func checkProcessor() Check {
	c := Check{Name: "processor", State: OK}
	detail := []string{fmt.Sprintf("%d threads", runtime.NumCPU())}
	if n := processor.Physical(); n > 0 {
		detail[0] = fmt.Sprintf("%d cores, %d threads", n, runtime.NumCPU())
	}
	if n := runtime.GOMAXPROCS(0); n < runtime.NumCPU() {
		detail = append(detail, fmt.Sprintf("%d threads for this process", n))
	}
	if v := os.Getenv("OMP_NUM_THREADS"); v != "" {
		detail = append(detail, "OMP_NUM_THREADS="+v)
	}
	switch {
	case processor.AMX():
		detail = append(detail, "AVX-512, AMX: fast in bfloat16")
	case cpu.X86.HasAVX512F:
		none := "no AMX"
		if cpu.X86.HasAMXBF16 {
			none = "AMX that the system (Linux before 5.16) or ONEDNN_MAX_CPU_ISA does not allow"
		}
		detail = append(detail, "AVX-512, "+none+": float32 is faster than bfloat16")
		if cpu.X86.HasAVX512VNNI {
			detail = append(detail, "AVX512-VNNI for int8")
		}
	case cpu.X86.HasAVX2:
		detail = append(detail, "AVX2")
	case runtime.GOARCH == "amd64":
		c.State = Warning
		detail = append(detail, "without AVX2, so tensor operations are slow")
	}
	c.Detail = strings.Join(detail, ", ")
	return c
}

const (
	gib       = 1 << 30
	minMemory = 2 * gib // a ResNet-50 at 800×1216 takes 1.5 to 1.8 GB
)

func checkMemory() Check {
	c := Check{Name: "memory", State: OK, Detail: "unknown"}
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return c
	}
	defer f.Close()
	size := map[string]int64{}
	for s := bufio.NewScanner(f); s.Scan(); {
		if words := strings.Fields(s.Text()); len(words) >= 2 {
			kib, _ := strconv.ParseInt(words[1], 10, 64)
			size[strings.TrimSuffix(words[0], ":")] = kib << 10
		}
	}
	free := size["MemAvailable"]
	c.Detail = fmt.Sprintf("%.1f of %.1f GiB free", float64(free)/gib, float64(size["MemTotal"])/gib)
	if limit := processor.Memory(); limit > 0 {
		c.Detail += fmt.Sprintf(", limited to %.1f GiB", float64(limit)/gib)
		free = min(free, limit)
	}
	if free < minMemory {
		c.State = Warning
		c.Detail += "; a full-size picture takes up to 2 GiB"
	}
	return c
}

func checkGPU(ctx context.Context, in *Installation) Check {
	c := Check{Name: "GPU", State: OK, Detail: "none found; everything runs on the processor"}
	out, err := output(ctx, "nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
	if err != nil || out == "" {
		if exists("/proc/driver/nvidia/version") {
			c.State = Warning
			c.Detail = "there is an NVIDIA driver, but nvidia-smi fails"
		}
		return c
	}
	c.Detail = gpus(out)
	if in != nil && !in.CUDA {
		c.State = Warning
		c.Detail += "; this LibTorch was built without CUDA and cannot use it"
		c.Fix = `pip install torch, then eval "$(diffusioninst env)"`
	}
	return c
}

// gpus writes nvidia-smi's table on one line.
func gpus(table string) string {
	var names []string
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), ", ")
		if len(cells) == 3 {
			line = fmt.Sprintf("%s, %s, driver %s", cells[0], cells[1], cells[2])
		}
		names = append(names, strings.TrimSpace(line))
	}
	return strings.Join(names, "; ")
}
