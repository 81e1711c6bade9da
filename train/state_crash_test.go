//go:build linux

package train

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/diffusioninst/go/internal/atomicfile"
	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// Variables that turn the test program into the run that TestSurvivesKills kills and
// into the one that TestFullDisk starves.
const (
	killedRun  = "TRAIN_TEST_KILLED_RUN"
	starvedRun = "TRAIN_TEST_STARVED_RUN"
)

// again is this test program, running the same test with a variable set.
func again(t *testing.T, variable, value string) *exec.Cmd {
	cmd := proctest.Command(t, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), variable+"="+value)
	return cmd
}

func TestSurvivesKills(t *testing.T) {
	if path := os.Getenv(killedRun); path != "" {
		saveForEver(t, path)
	}
	if testing.Short() {
		t.Skip("starts many processes")
	}
	const kills = 20
	path := filepath.Join(t.TempDir(), "state.safetensors")
	resumed := newTrainer(t, small(2), Options{EMA: 0.9, Draws: NewRandom(0)})
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	saves, during := uint64(0), 0
	for range kills {
		child := proctest.Start(t, again(t, killedRun, path))
		child.WaitFor(t, "saved\n") // its first state is there
		time.Sleep(time.Duration(r.Int64N(int64(60 * time.Millisecond))))
		child.Kill()

		if _, err := os.Stat(path + atomicfile.Suffix); err == nil {
			during++
		}
		note, err := resumed.Resume(context.Background(), path)
		require.NoError(t, err)
		now := binary.LittleEndian.Uint64(note)
		require.Greater(t, now, saves, "every run goes on where the one before was")
		draws := NewRandom(0)
		for range now {
			draws.Time(1000)
		}
		require.Equal(t, draws.Time(1<<30), resumed.options.Draws.Time(1<<30), "all of a state is of one moment")
		saves = now
	}
	t.Logf("%d saves; %d of %d kills came in the middle of one", saves, during, kills)
	_, err := resumed.Step(context.Background(), pictures(2))
	require.NoError(t, err)
}

// saveForEver goes on with a run and saves it until it is killed, with the number of
// the save as its note and as the number of draws.
func saveForEver(t *testing.T, path string) {
	ctx := context.Background()
	tr, err := New(ctx, small(2), nn.FromSeed(1), torch.CPU, Options{EMA: 0.9, Draws: NewRandom(0)})
	require.NoError(t, err)
	saves := uint64(0)
	if note, err := tr.Resume(ctx, path); err == nil {
		saves = binary.LittleEndian.Uint64(note)
	} else {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	for first := true; ; first = false {
		saves++
		tr.options.Draws.Time(1000)
		require.NoError(t, tr.Save(ctx, path, binary.LittleEndian.AppendUint64(nil, saves)))
		if first {
			_, _ = os.Stdout.WriteString("saved\n")
		}
	}
}

// A process that may only write small files stands for a full disk: the kernel refuses in
// the same place, but needs no file system of its own to do so.
func TestFullDisk(t *testing.T) {
	if path := os.Getenv(starvedRun); path != "" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		signal.Ignore(unix.SIGXFSZ)
		limit := uint64(info.Size() / 2)
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}))
		failsToSave(t, path, unix.EFBIG)
		return
	}
	path := filepath.Join(t.TempDir(), "state.safetensors")
	tr := newTrainer(t, small(2), Options{})
	require.NoError(t, tr.Save(context.Background(), path, []byte("intact")))
	proctest.Run(t, again(t, starvedRun, path))
	note, err := tr.Resume(context.Background(), path)
	require.NoError(t, err)
	require.Equal(t, "intact", string(note))
}

// TestFullFileSystem is TestFullDisk on a file system that is full, which takes a user
// who may mount one.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.safetensors")
	tr := newTrainer(t, small(2), Options{})
	require.NoError(t, tr.Save(context.Background(), path, nil))
	info, err := os.Stat(path)
	require.NoError(t, err)
	size := "size=" + strconv.FormatInt(info.Size()*3/2, 10)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		t.Skipf("no file system of our own: %v", err)
	}
	defer func() { require.NoError(t, unix.Unmount(dir, 0)) }()
	require.NoError(t, tr.Save(context.Background(), path, []byte("intact")))
	failsToSave(t, path, unix.ENOSPC)
	note, err := tr.Resume(context.Background(), path)
	require.NoError(t, err)
	require.Equal(t, "intact", string(note))
}

// failsToSave saves a trainer in the place of an old state, which must fail.
func failsToSave(t *testing.T, path string, cause error) {
	t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	tr := newTrainer(t, small(2), Options{})
	err = tr.Save(context.Background(), path, []byte("new"))
	require.ErrorIs(t, err, cause)
	require.ErrorContains(t, err, "cannot write "+path)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after, "the state before is intact")
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")
}
