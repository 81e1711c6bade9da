//go:build unix

package journal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/stretchr/testify/require"
)

// again runs a test of this file in a process of its own.
func again(t *testing.T, env ...string) *exec.Cmd {
	cmd := proctest.Command(t, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// A run that is killed at any moment goes on with one curve in the CSV and in TensorBoard.
// The value of a row is the number of the attempt that wrote it.
func TestKilled(t *testing.T) {
	if folder := os.Getenv("JOURNAL_KILLED"); folder != "" {
		start, err := strconv.Atoi(os.Getenv("JOURNAL_START"))
		require.NoError(t, err)
		attempt, err := strconv.Atoi(os.Getenv("JOURNAL_ATTEMPT"))
		require.NoError(t, err)
		j := open(t, folder, start, "train")
		fmt.Println("open")
		for step := start; ; step++ {
			values := []Scalar{{"attempt", float64(attempt)}}
			if step%50 == attempt { // columns grow, too
				values = append(values, Scalar{fmt.Sprint("column", attempt), 1})
			}
			require.NoError(t, j.Add("train", step, time.Now(), values))
		}
	}
	folder := t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	var want []Point // what there is, and what the next attempt keeps of it
	for attempt := range 12 {
		start := 0
		if len(want) > 0 {
			start = r.IntN(len(want) + 1)
		}
		want = want[:start]
		child := proctest.Start(t, again(t, "JOURNAL_KILLED="+folder, fmt.Sprint("JOURNAL_START=", start), fmt.Sprint("JOURNAL_ATTEMPT=", attempt)))
		child.WaitFor(t, "open\n")
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Microsecond)
		child.Kill()

		var got []Point
		if series, err := Read(filepath.Join(folder, "train.csv")); len(series) > 0 {
			require.NoError(t, err)
			require.Equal(t, "attempt", series[0].Name)
			got = series[0].Points
		}
		for step := start; step < len(got); step++ {
			want = append(want, Point{Step: step, Value: float64(attempt)})
		}
		for i := range got {
			got[i].Time = time.Time{}
		}
		require.Equal(t, want, got)
		shown := tensorBoard(t, folder)["train/attempt"]
		if len(shown) == len(want)+1 { // an event is written before its row
			shown = shown[:len(want)]
		}
		require.Equal(t, want, shown)
	}
	require.NotEmpty(t, want)
}

// On a full disk, here a limit on the size of files, Add says so and leaves whole rows; with
// room again it works on.
func TestDiskFull(t *testing.T) {
	if os.Getenv("JOURNAL_FULL") == "" {
		proctest.Run(t, again(t, "JOURNAL_FULL=1"))
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // then writing beyond is an error
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	for _, c := range []struct {
		size   uint64
		before int // rows of an earlier session: with many, the table is full before the event file
	}{{100, 0}, {2000, 0}, {2013, 0}, {2000, 40}, {2013, 40}, {2040, 40}} {
		folder := t.TempDir()
		j := open(t, folder, 0, "train")
		for step := range c.before {
			require.NoError(t, j.Add("train", step, noon, []Scalar{{"loss", 1 / float64(step+3)}}))
		}
		require.NoError(t, j.Close())
		j = open(t, folder, c.before, "train")
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: c.size, Max: limit.Max}))
		var err error
		step := c.before
		for err == nil {
			if err = j.Add("train", step, noon, []Scalar{{"loss", 1 / float64(step+3)}}); err == nil {
				step++
			}
		}
		require.ErrorIs(t, err, syscall.EFBIG)
		require.ErrorContains(t, err, folder)
		require.Equal(t, c.before > 0, strings.Contains(err.Error(), "train.csv"), err)
		require.Error(t, j.Add("train", step, noon, []Scalar{{"loss", 1}, {"new", 2}}))
		check := func(n int) {
			require.Len(t, tensorBoard(t, folder)["train/loss"], n)
			series, err := Read(filepath.Join(folder, "train.csv"))
			if n > 0 {
				require.NoError(t, err)
				require.Len(t, series[0].Points, n)
			}
		}
		check(step)
		_, err = os.Stat(filepath.Join(folder, "train.csv.part"))
		require.ErrorIs(t, err, os.ErrNotExist)
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		require.NoError(t, j.Add("train", step, noon, []Scalar{{"loss", 1}, {"new", 2}}))
		check(step + 1)
		require.NoError(t, j.Close())
	}
}
