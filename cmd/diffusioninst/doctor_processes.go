//go:build cgo

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/internal/libtorchenv"
	"github.com/diffusioninst/go/torch/processes"
)

func init() { processesCheck = checkProcesses }

// checkTimeout is how long the processes wait for each other.
const checkTimeout = time.Minute

// gradientBytes is about what a model of the size that trains on a CPU exchanges per step.
const gradientBytes = 16 << 20

// checkProcesses measures how processes reach each other, those that a launcher has started or n on this
// machine. others reports whether this process has nothing else to do: it started them, or is not
// rank 0.
func checkProcesses(cmd *cobra.Command, n int) (c libtorchenv.Check, others bool, err error) {
	c = libtorchenv.Check{Name: "processes", State: libtorchenv.OK}
	plan, err := processes.FromEnvironment(os.LookupEnv)
	if err == nil && plan.Alone() {
		if n < 2 {
			return c, true, fmt.Errorf("--processes=%d: at least 2 are required", n)
		}
		return c, true, startProcesses(cmd, n, checkTimeout)
	}
	var text string
	if err == nil {
		begin := time.Now()
		var group *processes.Group
		if group, err = joinProcesses(cmd, checkTimeout); err == nil {
			defer group.Close()
			text, err = measureProcesses(cmd.Context(), group, time.Since(begin))
		}
	}
	if err != nil {
		if plan.Rank > 0 {
			return c, true, err
		}
		c.State, c.Detail, c.Fix = libtorchenv.Missing, err.Error(), "see docs/scale.md: addresses, ports and GLOO_SOCKET_IFNAME"
		return c, plan.Rank > 0, nil
	}
	c.Detail = text
	return c, plan.Rank > 0, nil
}

// measureProcesses returns what it costs to meet, a message and a sum. Ranks make the same calls.
func measureProcesses(ctx context.Context, group *processes.Group, met time.Duration) (string, error) {
	times := func(n int, call func() error) ([]time.Duration, error) {
		var out []time.Duration
		for range n {
			begin := time.Now()
			if err := call(); err != nil {
				return nil, err
			}
			out = append(out, time.Since(begin))
		}
		slices.Sort(out)
		return out, nil
	}
	small, err := times(100, func() error { return group.Barrier(ctx) })
	if err != nil {
		return "", err
	}
	data := make([]float32, gradientBytes/4)
	large, err := times(5, func() error { return processes.AllReduce(ctx, group, data) })
	if err != nil {
		return "", err
	}
	plan := group.Plan()
	best := cmp.Or(large[0], 1)
	return fmt.Sprintf("%d started by %s, store at %s: met in %v; a message to all takes %v (the slowest of %d: %v); the sum of %d MiB takes %v (%.0f MB/s)",
		plan.Size, startedBy(plan), plan.Host, met.Round(time.Millisecond), small[len(small)/2].Round(time.Microsecond), len(small), small[len(small)-1].Round(time.Microsecond),
		gradientBytes>>20, best.Round(100*time.Microsecond), gradientBytes/1e6/best.Seconds()), nil
}
