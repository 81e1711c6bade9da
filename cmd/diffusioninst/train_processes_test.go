//go:build cgo && linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train/journal"
)

func needProcesses(t *testing.T) {
	t.Helper()
	s, err := processes.OpenStore()
	if err != nil {
		t.Skip(err)
	}
	s.Close()
}

// ranksOf returns the processes that --processes has started for a folder, by rank.
func ranksOf(folder string) map[int]int {
	out := map[int]int{}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		args, _ := os.ReadFile(line)
		vars, _ := os.ReadFile(filepath.Join(filepath.Dir(line), "environ"))
		if !bytes.Contains(args, []byte(folder)) || !bytes.Contains(vars, []byte("\x00"+launched+"=1")) {
			continue
		}
		for _, v := range strings.Split(string(vars), "\x00") {
			if text, ok := strings.CutPrefix(v, "RANK="); ok {
				rank, _ := strconv.Atoi(text)
				out[rank], _ = strconv.Atoi(filepath.Base(filepath.Dir(line)))
			}
		}
	}
	return out
}

// A run of two processes, one of which is killed again and again at random moments, the start included,
// ends each time and names the rank; resumed, it becomes what it had been without kills.
func TestProcessesSurviveKills(t *testing.T) {
	needProcesses(t)
	kills := rounds(t, 2)
	args := append(tinyRun(t, ""), "--val", "", "--save-every", "1", "--processes", "2", "--processes-timeout", "2m")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	run := func(folder string, steps int) *proctest.Child {
		more := []string{"--out", folder, "--steps", strconv.Itoa(steps)}
		if _, err := os.Stat(filepath.Join(folder, "last.safetensors")); err == nil {
			more = append(more, "--resume")
		}
		cmd := proctest.Command(t, os.Args[0], slices.Concat(args, more)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return proctest.Start(t, cmd)
	}
	folder, whole := t.TempDir(), t.TempDir()
	begin := time.Now()
	c := run(folder, 1)
	require.Zero(t, c.Wait(), c.Output())
	start := time.Since(begin)
	for i := range kills {
		c := run(folder, 1<<20)
		time.Sleep(time.Duration(r.Int64N(int64(2 * start))))
		ranks := ranksOf(folder)
		for len(ranks) < 2 && !c.Ended() {
			time.Sleep(time.Millisecond)
			ranks = ranksOf(folder)
		}
		lost := r.IntN(2)
		require.NoError(t, syscall.Kill(ranks[lost], syscall.SIGKILL), c.Output())
		killed := time.Now()
		require.Equal(t, 1, c.Wait(), c.Output())
		require.Contains(t, c.Output(), fmt.Sprintf("rank %d: signal: killed", lost))
		t.Logf("kill %d, of rank %d: all ended after %v", i, lost, time.Since(killed).Round(10*time.Millisecond))
	}
	done := func() int {
		series, err := journal.Read(filepath.Join(folder, "train.csv"))
		require.NoError(t, err)
		return series[0].Points[len(series[0].Points)-1].Step
	}()
	for _, f := range []string{folder, whole} {
		c := run(f, done+2)
		require.Zero(t, c.Wait(), c.Output())
	}
	read := func(folder string) []byte {
		text, err := os.ReadFile(filepath.Join(folder, "model.safetensors"))
		require.NoError(t, err)
		return text
	}
	require.True(t, bytes.Equal(read(whole), read(folder)), "the models differ")
}

func TestProcessesEvaluate(t *testing.T) {
	needProcesses(t)
	if testing.Short() {
		t.Skip("starts processes")
	}
	args := append(tinyRun(t, ""), "--steps", "1")
	evaluate := func(more ...string) string {
		folder := t.TempDir()
		cmd := proctest.Command(t, os.Args[0], slices.Concat(args, []string{"--out", folder}, more)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		proctest.Run(t, cmd)
		text, err := os.ReadFile(filepath.Join(folder, "evaluation.csv"))
		require.NoError(t, err)
		return string(text)
	}
	require.Contains(t, evaluate("--processes", "2"), "AP")
}

func TestProcessesRefuse(t *testing.T) {
	t.Setenv("WORLD_SIZE", "2")
	t.Setenv("RANK", "0")
	t.Setenv("MASTER_ADDR", "127.0.0.1")
	args := append(tinyRun(t, ""), "--out", t.TempDir())
	_, err := program(t, append(args, "--processes", "2")...)
	require.ErrorContains(t, err, "--processes 2: the environment of torchrun says already")
	_, err = program(t, append(args, "--processes", "0")...)
	require.ErrorContains(t, err, "at least 1")
	_, err = program(t, append(args, "--processes-timeout", "-1s")...)
	require.ErrorContains(t, err, "above 0")
	t.Setenv("RANK", "2")
	_, err = program(t, args...)
	require.ErrorContains(t, err, "rank 2 of 2 processes")
}
