//go:build cgo

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/diffusioninst/go/internal/libtorchenv"
	"github.com/diffusioninst/go/internal/processor"
	"github.com/diffusioninst/go/torch"
)

func init() { speedCheck = checkSpeed }

// A machineSpeed is what one core does in float32, in floating-point operations per second.
type machineSpeed struct {
	peak         float64 // multiply-adds of its widest vectors, without memory
	convolution  float64
	linear, blas float64 // a matrix product, by oneDNN as in segmenting and by the BLAS as in training
	core         string  // the kernels of OpenBLAS; "" if it is another BLAS
	processors   float64 // that a convolution on all threads got at once
	threads      int
}

func checkSpeed(ctx context.Context) libtorchenv.Check {
	m, err := measureSpeed(ctx)
	if err != nil {
		return libtorchenv.Check{Name: "speed", State: libtorchenv.Warning, Detail: "not measured: " + err.Error()}
	}
	return m.check(os.Getenv)
}

// measureSpeed counts the time that the process computes, so that other programs change little.
func measureSpeed(ctx context.Context) (machineSpeed, error) {
	m := machineSpeed{peak: torch.PeakRate(), core: torch.BLASCore(), threads: torch.Threads()}
	team := torch.NewTeam(1, 1)
	defer team.Close()
	err := team.Do(ctx, 1, func(_ int, s *torch.Scope) error {
		o := newOperands(s, torch.CPU, torch.Float32)
		m.convolution = rateOf(s, processTime, convFLOP, o.convolution)
		m.linear = rateOf(s, processTime, productFLOP, o.linear)
		m.blas = rateOf(s, processTime, productFLOP, o.blas)
		return nil
	})[0]
	if err != nil {
		return m, err
	}
	return m, torch.Do(ctx, func(s *torch.Scope) error {
		o := newOperands(s, torch.CPU, torch.Float32)
		wall, computed := wallTime(), processTime()
		rateOf(s, wallTime, convFLOP, o.convolution)
		m.processors = float64(processTime()-computed) / float64(wallTime()-wall)
		return nil
	})
}

// What is slow: good kernels reach half of the peak, kernels for an older processor's vectors a quarter
// or less; and threads get most of their processors on a quiet machine.
const (
	slowKernels = 0.35
	fewThreads  = 0.6
)

// check says in words what is slow and what helps. get returns a variable of the environment.
func (m machineSpeed) check(get func(string) string) libtorchenv.Check {
	c := libtorchenv.Check{Name: "speed", State: libtorchenv.OK}
	kernels := ""
	if m.core != "" {
		kernels = fmt.Sprintf(" (OpenBLAS's kernels for %s)", m.core)
	}
	c.Detail = fmt.Sprintf("a core does up to %.0f GFLOP/s in float32; a convolution runs at %s of that, a linear map at %s, a product of the BLAS%s at %s",
		m.peak/1e9, m.percent(m.convolution), m.percent(m.linear), kernels, m.percent(m.blas))
	var wrong, fixes []string
	if min(m.convolution, m.linear) < slowKernels*m.peak {
		wrong = append(wrong, "segmenting is slow: oneDNN does not use what the processor has")
		fix := "install a newer LibTorch, whose oneDNN knows this processor"
		for _, v := range []string{"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} {
			if get(v) != "" {
				fix = "unset " + v + ", which is " + get(v)
			}
		}
		fixes = append(fixes, fix)
	}
	if m.blas < slowKernels*m.peak {
		wrong = append(wrong, "training and float64 are slow, segmenting is not: the BLAS does not use what the processor has")
		fix := "install a newer OpenBLAS as libblas.so.3 (on Debian: libopenblas0-openmp)"
		if v := get("OPENBLAS_CORETYPE"); v != "" {
			fix = "unset OPENBLAS_CORETYPE, which is " + v
		}
		fixes = append(fixes, fix)
	}
	if m.threads > 1 && m.processors < fewThreads*float64(m.threads) {
		wrong = append(wrong, fmt.Sprintf("%d threads got only %.1f processors: other programs use them, or the process may not", m.threads, m.processors))
		fixes = append(fixes, cmp.Or(quota(), "try again when the machine is quiet"))
	}
	if len(wrong) > 0 {
		c.State = libtorchenv.Warning
		c.Detail += "; " + strings.Join(wrong, "; ")
		c.Fix = strings.Join(fixes, "; ")
	}
	return c
}

func (m machineSpeed) percent(rate float64) string { return fmt.Sprintf("%.0f %%", 100*rate/m.peak) }

// quota returns what helps if a container's share of the processors is limited, or "".
func quota() string {
	limit := processor.Quota()
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf("the container may use %.1f processors: give it more, or set OMP_NUM_THREADS=%d", limit, processor.Cores())
}
