//go:build cgo && linux

package main

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
)

// A sweep that is killed at random moments ends with the numbers of one that was not, apart
// from the times.
func TestSweepSurvivesKills(t *testing.T) {
	kills := rounds(t, 1)
	gt, folder := shapesSet(t, 3)
	args := append([]string{"sweep", "--gt", gt, "--images", folder, "--threads", "1", "--samplers", "ddim,euler", "--steps", "1,2"}, miniModel()...)
	numbers := func(folder string) map[string]any {
		var log map[string]any
		require.NoError(t, json.Unmarshal([]byte(tree(t, folder)["sweep.json"]), &log))
		for _, run := range log["runs"].([]any) {
			delete(run.(map[string]any), "seconds_per_picture")
		}
		return log
	}
	whole, killed := t.TempDir(), t.TempDir()
	begin := time.Now()
	proctest.Run(t, asChild(t, append(args, "--out", whole)...))
	took := time.Since(begin)
	want := numbers(whole)
	finish := func() {
		proctest.Run(t, asChild(t, append(args, "--out", killed)...))
		require.Equal(t, want, numbers(killed))
		require.FileExists(t, filepath.Join(killed, "sweep.png"))
	}
	for i := range kills {
		if i > 0 && i%perFolder == 0 {
			finish()
			killed = t.TempDir()
		}
		child := proctest.Start(t, asChild(t, append(args, "--out", killed)...))
		time.Sleep(time.Duration(rand.Int64N(int64(took))))
		child.Kill()
		wholeFiles(t, killed)
	}
	finish()
}
