//go:build cgo && linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train"
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

// processesRun returns a function that starts a run of several processes, or continues it.
func processesRun(t *testing.T, args []string) func(folder string, size, steps int, more ...string) *proctest.Child {
	return func(folder string, size, steps int, more ...string) *proctest.Child {
		more = append(more, "--out", folder, "--steps", strconv.Itoa(steps), "--processes", strconv.Itoa(size))
		if _, err := os.Stat(filepath.Join(folder, train.LastCheckpoint)); err == nil {
			more = append(more, "--resume")
		}
		return proctest.Start(t, asChild(t, slices.Concat(args, more)...))
	}
}

// waitForRanks waits until all processes of a run have been started and returns them.
func waitForRanks(c *proctest.Child, folder string, size int) map[int]int {
	ranks := ranksOf(folder)
	for len(ranks) < size && !c.Ended() {
		time.Sleep(time.Millisecond)
		ranks = ranksOf(folder)
	}
	return ranks
}

// Runs of two processes, one of which is killed again and again at random moments, the start included,
// end each time and name the rank; resumed, they become what they had been without kills. Then other
// numbers of processes go on with them.
func TestProcessesSurviveKills(t *testing.T) {
	needProcesses(t)
	kills := rounds(t, 2)
	run := processesRun(t, append(tinyRun(t, ""), "--val", "", "--save-every", "1", "--processes-timeout", "2m"))
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	folder := t.TempDir()
	begin := time.Now()
	c := run(folder, 2, 1)
	require.Zero(t, c.Wait(), c.Output())
	start := time.Since(begin)
	steps := func() int {
		series, err := journal.Read(filepath.Join(folder, "train.csv"))
		if err != nil || len(series) == 0 || len(series[0].Points) == 0 {
			return 0
		}
		return series[0].Points[len(series[0].Points)-1].Step
	}
	finish := func() {
		done, whole := steps(), t.TempDir()
		var models [][]byte
		for _, f := range []string{folder, whole} {
			c := run(f, 2, done+2)
			require.Zero(t, c.Wait(), c.Output())
			text, err := os.ReadFile(filepath.Join(f, "model.safetensors"))
			require.NoError(t, err)
			models = append(models, text)
		}
		require.True(t, bytes.Equal(models[0], models[1]), "the models differ")
		t.Logf("%d steps, a start takes %v", done+2, start.Round(time.Millisecond))
		for i, size := range []int{3, 1} {
			c := run(folder, size, done+3+i)
			require.Zero(t, c.Wait(), c.Output())
		}
	}
	var longest time.Duration
	for i := range kills {
		if i > 0 && i%trainPerFolder == 0 {
			finish()
			folder = t.TempDir()
			c := run(folder, 2, 1)
			require.Zero(t, c.Wait(), c.Output())
		}
		before := steps()
		c := run(folder, 2, 1<<20)
		// Where a start took long, few steps are enough: the run that is compared makes them all.
		for end := time.Now().Add(time.Duration(r.Int64N(int64(2 * start)))); time.Now().Before(end) && steps() < before+10; {
			time.Sleep(5 * time.Millisecond)
		}
		ranks := waitForRanks(c, folder, 2)
		lost := r.IntN(2)
		require.NoError(t, syscall.Kill(ranks[lost], syscall.SIGKILL), c.Output())
		killed := time.Now()
		require.Equal(t, 1, c.Wait(), c.Output())
		require.Contains(t, c.Output(), fmt.Sprintf("rank %d: signal: killed", lost))
		took := time.Since(killed).Round(10 * time.Millisecond)
		longest = max(longest, took)
		t.Logf("kill %d, of rank %d: all ended after %v", i, lost, took)
	}
	finish()
	t.Logf("%d kills: all ended after at most %v", kills, longest)
}

// The others of a process that stands still end after the timeout and name it.
func TestProcessesEndWithoutOneThatStands(t *testing.T) {
	needProcesses(t)
	if testing.Short() {
		t.Skip("starts processes")
	}
	run := processesRun(t, append(tinyRun(t, ""), "--val", "", "--save-every", "1", "--processes-timeout", "3s"))
	folder := t.TempDir()
	c := run(folder, 3, 1<<20)
	saved := func() bool {
		_, err := os.Stat(filepath.Join(folder, train.LastCheckpoint))
		return err == nil || c.Ended()
	}
	for !saved() {
		time.Sleep(time.Millisecond)
	}
	ranks := waitForRanks(c, folder, 3)
	require.NoError(t, syscall.Kill(ranks[1], syscall.SIGSTOP), c.Output())
	stopped := time.Now()
	require.Equal(t, 1, c.Wait(), c.Output())
	require.Contains(t, c.Output(), "rank 1 is lost")
	require.Empty(t, ranksOf(folder))
	t.Logf("all ended after %v", time.Since(stopped).Round(10*time.Millisecond))
}

// The metrics do not depend on the number of processes.
func TestProcessesEvaluate(t *testing.T) {
	needProcesses(t)
	if testing.Short() {
		t.Skip("starts processes")
	}
	args := append(tinyRun(t, ""), "--weights", "builtin:nuclei")
	base, err := filepath.Abs("../../nuclei/train.yaml")
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "still.yaml") // nothing learns, batch norms included
	text := "_BASE_: " + base + `
MODEL: {RESNETS: {NORM: FrozenBN}}
INPUT: {CROP: {ENABLED: True, TYPE: absolute, SIZE: [32, 32]}}
SOLVER: {BASE_LR: 1.0e-30, IMS_PER_BATCH: 3}
`
	require.NoError(t, os.WriteFile(config, []byte(text), 0o666))
	args[slices.Index(args, "--config")+1] = config
	run := processesRun(t, args)
	evaluate := func(size int) (values []float64) {
		folder := t.TempDir()
		c := run(folder, size, 1)
		require.Zero(t, c.Wait(), c.Output())
		series, err := journal.Read(filepath.Join(folder, "evaluation.csv"))
		require.NoError(t, err)
		for _, s := range series {
			values = append(values, s.Points[0].Value)
		}
		return values
	}
	want := evaluate(1)
	require.NotZero(t, want[0])
	require.Equal(t, want, evaluate(3))
}

// Each process names the pictures that it has left out, which the others have not read.
func TestProcessesSayWhatTheySkip(t *testing.T) {
	needProcesses(t)
	args := tinyRun(t, "SOLVER: {IMS_PER_BATCH: 4}")
	args = slices.Delete(args, slices.Index(args, "--val"), slices.Index(args, "--val")+2)
	pictures, err := filepath.Glob(filepath.Join(args[slices.Index(args, "--images")+1], "*.png"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(pictures[0], []byte("no picture"), 0o666))
	c := processesRun(t, args)(t.TempDir(), 2, 8, "--on-error", "skip")
	require.Zero(t, c.Wait(), c.Output())
	name := regexp.QuoteMeta(filepath.Base(pictures[0]))
	require.Regexp(t, `(?m)^warning: skipped: .*`+name, c.Output())
	require.Regexp(t, `(?m)^rank 1: warning: skipped: .*`+name, c.Output())
	require.NotContains(t, c.Output(), "rank 0: ")
}

// twoRanks runs two processes, of which rank 1 has other arguments, and returns what each says. Both must fail.
func twoRanks(t *testing.T, args, others []string) (said [2]string) {
	store, err := processes.OpenStore()
	require.NoError(t, err)
	defer store.Close()
	var all []*proctest.Child
	for rank, mine := range [][]string{args, others} {
		cmd := asChild(t, mine...)
		cmd.Env = append(cmd.Env, store.Environment(rank, 2)...)
		all = append(all, proctest.Start(t, cmd))
	}
	for rank, c := range all {
		require.Equal(t, 1, c.Wait(), c.Output())
		said[rank] = c.Output()
	}
	return said
}

// Processes that would not train the same model end and say what differs, and those that wait for one that cannot begin
// say why it cannot.
func TestProcessesThatDiffer(t *testing.T) {
	needProcesses(t)
	args := append(tinyRun(t, ""), "--steps", "1", "--out", t.TempDir())
	with := func(flag, value string) []string {
		out := slices.Clone(args)
		out[slices.Index(args, flag)+1] = value
		return out
	}
	set, err := coco.Load(args[slices.Index(args, "--train")+1])
	require.NoError(t, err)
	set.Annotations[0].BBox[0] += 0.5
	moved := filepath.Join(t.TempDir(), "instances.json")
	file, err := os.Create(moved)
	require.NoError(t, err)
	require.NoError(t, errors.Join(set.Write(file), file.Close()))
	set.Images = slices.DeleteFunc(set.Images, func(m coco.Image) bool { return m.ID == set.Annotations[0].ImageID })
	set.Annotations = slices.DeleteFunc(set.Annotations, func(a coco.Annotation) bool { return a.ImageID == set.Annotations[0].ImageID })
	fewer := filepath.Join(t.TempDir(), "instances.json")
	file, err = os.Create(fewer)
	require.NoError(t, err)
	require.NoError(t, errors.Join(set.Write(file), file.Close()))
	decays := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(decays, []byte("_BASE_: "+args[slices.Index(args, "--config")+1]+"\nSOLVER: {WEIGHT_DECAY: 0.125}\n"), 0o666))
	none := filepath.Join(t.TempDir(), "none.yaml")
	for want, others := range map[string][]string{
		`--train: rank 1 has read 5 pictures, checksum \w+, rank 0 5 pictures, checksum`: with("--train", moved),
		`rank 1 has another run than rank 0: --val 4 pictures, checksum`:                 with("--val", fewer),
		`rank 1 has another run than rank 0: SOLVER.WEIGHT_DECAY 0.125, not`:             with("--config", decays),
		`rank 1: .*` + regexp.QuoteMeta(none) + `.*no such file`:                         with("--config", none),
	} {
		said := twoRanks(t, args, others)
		require.Regexp(t, want, said[0])
		require.Regexp(t, strings.TrimPrefix(want, "rank 1: .*"), said[1])
	}
	require.Regexp(t, `rank 0: .*`+regexp.QuoteMeta(none)+`.*no such file`, twoRanks(t, with("--config", none), args)[1], "rank 0 is the one that fails")
}

func TestDoctorMeasuresProcesses(t *testing.T) {
	needProcesses(t)
	out := string(proctest.Run(t, asChild(t, "doctor", "--processes=3", "--json")))
	require.Contains(t, out, `"processes"`)
	require.Regexp(t, `3 started by --processes, store at 127\.0\.0\.1: met in .*; a message to all takes .*; the sum of 16 MiB takes .* MB/s`, out)
	require.Equal(t, 1, strings.Count(out, `"processes"`), "one process speaks")
	_, err := program(t, "doctor", "--processes", "3")
	require.ErrorContains(t, err, "write --processes=3")
	_, err = program(t, "doctor", "--processes=1")
	require.ErrorContains(t, err, "at least 2")

	c := proctest.Start(t, func() *exec.Cmd {
		cmd := asChild(t, "doctor", "--processes")
		cmd.Env = append(cmd.Env, "WORLD_SIZE=2", "RANK=5", "MASTER_ADDR=127.0.0.1")
		return cmd
	}())
	require.Equal(t, 1, c.Wait())
	require.Contains(t, c.Output(), "rank 5 of 2 processes")
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

// Each process of a machine takes a GPU of its own, unless it is named or there is only one to see.
func TestRankDevice(t *testing.T) {
	for _, test := range []struct {
		name       string
		rank, gpus int
		want       string
	}{
		{"cuda", 0, 4, "cuda:0"}, {"cuda", 3, 4, "cuda:3"}, {"AUTO", 1, 2, "cuda:1"}, {"cuda", 4, 4, "cuda:4"}, // which is not there
		{"cuda", 3, 1, "cuda"}, {"auto", 3, 1, "auto"}, {"auto", 1, 0, "auto"}, {"cuda", 1, 0, "cuda"},
		{"cuda:1", 0, 4, "cuda:1"}, {"cpu", 1, 4, "cpu"}, {"moon", 1, 4, "moon"},
	} {
		require.Equal(t, test.want, rankDevice(test.name, test.rank, test.gpus), test)
	}
}
