//go:build cgo && linux

package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/leak"
	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/train/journal"
)

// asProgram turns the test program into the program itself.
const asProgram = "DIFFUSIONINST_TEST_AS_PROGRAM"

// asKilled lets that program try pictures again however often it was killed.
const asKilled = "DIFFUSIONINST_TEST_AS_KILLED"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		limitFiles()
		if os.Getenv(asKilled) != "" {
			crashLimit = math.MaxInt
		}
		main()
		os.Exit(0)
	}
	leak.Main(m)
}

// TestTrainSurvivesKills kills a run that saves after every step again and again, at
// random moments, its start and its end included. Every time it must continue, and at the
// end its files must equal the files of a run that was not killed.
func TestTrainSurvivesKills(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	args := append(tinyRun(t, ""), "--val", "", "--save-every", "1")
	folder := t.TempDir()
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	// All runs are processes of their own, for the number of threads to be the same: the
	// order of additions depends on it.
	run := func(folder string, steps int, more ...string) *exec.Cmd {
		cmd := proctest.Command(t, os.Args[0], slices.Concat(args, []string{"--out", folder, "--steps", strconv.Itoa(steps)}, more)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return cmd
	}
	resume := func(steps int) *exec.Cmd {
		if _, err := os.Stat(filepath.Join(folder, "last.safetensors")); err == nil {
			return run(folder, steps, "--resume")
		}
		return run(folder, steps)
	}
	done := func() int {
		series, err := journal.Read(filepath.Join(folder, "train.csv"))
		if err != nil || len(series) == 0 {
			return 0
		}
		return series[0].Points[len(series[0].Points)-1].Step
	}
	// How long a start takes here, for kills to come before and after it.
	begin := time.Now()
	proctest.Run(t, resume(2))
	start := time.Since(begin)
	kills := rounds(t, min(max(int(10*time.Second/start), 2), 8))
	read := func(folder string) []byte {
		data, err := os.ReadFile(filepath.Join(folder, "model.safetensors"))
		require.NoError(t, err)
		return data
	}
	finish := func() {
		steps := done() + 2
		proctest.Run(t, resume(steps))
		whole := t.TempDir()
		proctest.Run(t, run(whole, steps))
		require.True(t, bytes.Equal(read(whole), read(folder)), "the models differ")
		t.Logf("%d steps, a start takes %v", steps, start.Round(time.Millisecond))
	}
	for i := range kills {
		if i > 0 && i%trainPerFolder == 0 { // a run of all steps, to compare with, would be long
			finish()
			folder = t.TempDir()
		}
		child := proctest.Start(t, resume(1<<20))
		time.Sleep(time.Duration(r.Int64N(int64(2 * start))))
		require.False(t, child.Ended(), "kill %d: the run ended by itself\n%s", i, child.Output())
		child.Kill()
	}
	finish()
}

// trainPerFolder is how many kills a training run is given before it is compared.
const trainPerFolder = 8
