//go:build cgo && linux

package main

import (
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

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/internal/simulate"
)

// A fleet segments shards in several processes, which are killed at random and started again.
type fleet struct {
	args   func(more ...string) []string
	out    string
	shards int
	lives  time.Duration // a process that will be killed lives at most so long
	kills  map[int]int   // still to come, of each shard
	doomed int           // processes started to be killed
	killed int           // processes that did not end on their own
}

// A fleetWorker is a process that segments a shard.
type fleetWorker struct {
	*proctest.Child
	shard int
	kill  time.Time // zero for one that is left alone
}

// run segments all shards in several processes at a time.
func (f *fleet) run(t *testing.T, processes int) {
	var queue []int
	for i := range f.shards {
		queue = append(queue, i)
	}
	var working []*fleetWorker
	for len(queue) > 0 || len(working) > 0 {
		for len(working) < processes && len(queue) > 0 {
			working = append(working, f.start(t, queue[0]))
			queue = queue[1:]
		}
		time.Sleep(time.Millisecond)
		working = slices.DeleteFunc(working, func(w *fleetWorker) bool {
			if !w.kill.IsZero() && time.Now().After(w.kill) {
				w.Kill()
			}
			if !w.Ended() {
				return false
			}
			switch status := w.Wait(); status {
			case 0:
			case 128 + int(syscall.SIGKILL):
				f.killed++
				queue = append(queue, w.shard)
			default:
				t.Fatalf("shard %d: %d: %s", w.shard, status, w.Output())
			}
			return true
		})
	}
}

func (f *fleet) start(t *testing.T, i int) *fleetWorker {
	w := &fleetWorker{shard: i}
	if f.kills[i] > 0 {
		f.kills[i]--
		lives := f.lives
		if f.doomed++; f.doomed == 1 {
			lives /= 10 // certainly before it ends on its own
		}
		w.kill = time.Now().Add(time.Duration(rand.Int64N(int64(lives))))
	}
	w.Child = proctest.Start(t, asChild(t, f.args("--output", f.out, "--shard", shard{i, f.shards}.String())...))
	return w
}

// Shards of many pictures, whose workers are killed at random, hold each picture once, with the results of one
// process. DIFFUSIONINST_PICTURES=10000 DIFFUSIONINST_LIMIT=30m takes minutes; DIFFUSIONINST_KILLS says how many workers are
// killed, DIFFUSIONINST_PROCESSES how many work at a time: more than there are cores take each more processor time.
func TestShardsOfManyPictures(t *testing.T) {
	pictures := 16
	if n, err := strconv.Atoi(os.Getenv("DIFFUSIONINST_PICTURES")); err == nil {
		pictures = n
	} else if testing.Short() {
		t.Skip("starts many processes")
	}
	folder := t.TempDir()
	var lines []string
	for i := range pictures {
		lines = append(lines, filepath.Join(folder, strconv.Itoa(i%100), strconv.Itoa(i)+".png"))
		saveNuclei(t, lines[i], simulate.Options{Width: 40, Height: 32, Count: 2, Seed: uint64(i)})
	}
	list := filepath.Join(folder, "list.txt")
	require.NoError(t, os.WriteFile(list, []byte(strings.Join(lines, "\n")), 0o666))
	config := smallestModel(t)
	args := func(more ...string) []string {
		return slices.Concat([]string{"segment", "--list", list, "--format", "results,coco", "--threads", "1", "--weights", "untrained", "--config", config, "--device", "cpu"}, more)
	}
	whole, begin, before := t.TempDir(), time.Now(), childTime(t)
	proctest.Run(t, asChild(t, args("--output", whole)...))
	took, alone := time.Since(begin), childTime(t)-before

	f := &fleet{args: args, out: t.TempDir(), shards: max(2, pictures/2000), kills: map[int]int{}}
	kills, processes := f.shards, 3
	for name, n := range map[string]*int{"DIFFUSIONINST_KILLS": &kills, "DIFFUSIONINST_PROCESSES": &processes} {
		if more, err := strconv.Atoi(os.Getenv(name)); err == nil {
			*n = more
		}
	}
	f.lives = max(2*took/time.Duration(f.shards), time.Second)
	for range kills {
		f.kills[rand.IntN(f.shards)]++
	}
	before = childTime(t)
	f.run(t, processes)
	t.Logf("%d pictures, %d shards, %d processes killed: %v of processor time, %v of one process", pictures, f.shards, f.killed, childTime(t)-before, alone)
	require.Equal(t, kills > 0, f.killed > 0)

	merged := t.TempDir()
	stdout, err := program(t, "results", "merge", f.out, "--output", merged)
	require.NoError(t, err)
	require.Contains(t, stdout, fmt.Sprintf("of %d pictures merged", pictures))
	for _, name := range []string{"results.json", "coco.json"} {
		want, err := os.ReadFile(filepath.Join(whole, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(merged, name))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s is not that of one process", name) // it is too large to print
	}
	set, err := coco.Load(filepath.Join(merged, "coco.json"))
	require.NoError(t, err)
	require.Len(t, set.Images, pictures)
	times := map[string]int{}
	for i := range f.shards {
		path := filepath.Join(f.out, shard{i, f.shards}.folder(), segmentJournalName)
		journal, err := os.Open(path)
		require.NoError(t, err)
		_, err = readRecords(journal, path, func(map[string]string) error { return nil }, func(r *segmentRecord) error {
			times[r.Path]++
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, journal.Close())
	}
	for _, path := range lines {
		require.Equal(t, 1, times[path], path)
	}
	require.Len(t, times, pictures)
}

// smallestModel returns the configuration of miniModel with fewer pixels and stages.
func smallestModel(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml"))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "config.yaml")
	smaller := strings.NewReplacer("MIN_SIZE_TEST: 96", "MIN_SIZE_TEST: 32", "NUM_HEADS: 3", "NUM_HEADS: 1").Replace(string(text))
	require.NotEqual(t, string(text), smaller)
	require.NoError(t, os.WriteFile(path, []byte(smaller), 0o666))
	return path
}

// childTime returns the processor time of the children that have ended.
func childTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
