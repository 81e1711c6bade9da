//go:build cgo

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/diffusioninst/go/coco"
	"github.com/diffusioninst/go/evaluation"
	"github.com/diffusioninst/go/internal/processor"
	"github.com/diffusioninst/go/internal/relay"
	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train"
	"github.com/diffusioninst/go/train/data"
)

// launched is set in the processes that --processes has started.
const launched = "DIFFUSIONINST_LAUNCHED"

// endAfter is how long the other processes may go on when one has ended with an error. They know of
// it: it has told them, or its connections have been closed. Rank 0 may have a state to save.
const endAfter = time.Minute

// endLost is endAfter if the process was killed: the others have to find out, which takes them a step and
// three seconds.
const endLost = 8 * time.Second

// joinProcesses meets the other processes that torchrun, Kubeflow, srun, mpirun or --processes has
// started; nil if there are none. All but rank 0 write nothing but errors, and what a rankWriter says.
func joinProcesses(cmd *cobra.Command, timeout time.Duration) (*processes.Group, error) {
	plan, err := processes.FromEnvironment(os.LookupEnv)
	if err != nil || plan.Alone() {
		return nil, err
	}
	group, err := processes.Join(cmd.Context(), plan, processes.Options{Timeout: timeout})
	if err != nil {
		return nil, err
	}
	if group.Rank() > 0 {
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
	} else {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d processes, %d on this machine (%s)\n", plan.Size, plan.LocalSize, startedBy(plan))
	}
	return group, nil
}

// rankDevice returns the device that --device names for a process that sees some number of GPUs. Without an index it is the
// one of the process's rank on its machine. Launchers such as srun show each process its own GPU only, which is then the one.
func rankDevice(name string, localRank, gpus int) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if gpus > 1 && (name == "cuda" || name == "auto") {
		return fmt.Sprintf("cuda:%d", localRank)
	}
	return name
}

// startedBy names what has started the processes.
func startedBy(p processes.Plan) string {
	if os.Getenv(launched) != "" {
		return "--processes"
	}
	return p.Source
}

// startProcesses runs the command in n processes of this machine.
func startProcesses(cmd *cobra.Command, n int, timeout time.Duration) error {
	plan, err := processes.FromEnvironment(os.LookupEnv)
	if err != nil {
		return err
	}
	if !plan.Alone() {
		return fmt.Errorf("--processes %d: the environment of %s says already that this is one of %d processes", n, plan.Source, plan.Size)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	store, err := processes.OpenStore()
	if err != nil {
		return fmt.Errorf("--processes %d: %w", n, err)
	}
	defer store.Close()
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	// On Linux the processes end with the thread that starts them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all := make([]*exec.Cmd, n)
	said, lock := make([]rankWords, n), new(sync.Mutex) // rank 0 speaks for itself
	for rank := range all {
		c := exec.CommandContext(ctx, program, os.Args[1:]...)
		c.Env = append(append(os.Environ(), store.Environment(rank, n)...), launched+"=1")
		c.Stdout, c.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		if rank > 0 {
			said[rank] = rankWords{to: cmd.ErrOrStderr(), lock: lock, rank: rank}
			c.Stdout, c.Stderr = nil, &said[rank]
		}
		alone(c)
		if err := c.Start(); err != nil {
			kill()
			for _, started := range all[:rank] {
				_ = started.Wait()
			}
			return err
		}
		all[rank] = c
	}
	// A signal to this program, to be passed on once: a second one would end them without saving.
	stop := context.AfterFunc(cmd.Context(), func() {
		for _, c := range all {
			_ = c.Process.Signal(syscall.SIGTERM)
		}
	})
	defer stop()
	errs := make(chan error, len(all))
	relay.Each(len(all), len(all), func(rank int) {
		if err := all[rank].Wait(); err != nil {
			switch {
			case cmd.Context().Err() != nil: // rank 0 saves
			case all[rank].ProcessState.Exited():
				time.AfterFunc(min(endAfter, timeout+endLost/2), kill)
			default:
				time.AfterFunc(min(endLost, timeout+endLost/2), kill)
			}
			errs <- fmt.Errorf("rank %d: %w\n%s", rank, err, said[rank].kept())
		}
	})
	close(errs)
	err = <-errs // the first; nil if all have succeeded
	if cmd.Context().Err() != nil {
		return stopped(cmd.Context().Err(), "with all %d processes", n)
	}
	return err
}

// resumeAuto is the value of --resume that goes on with a run if there is one.
const resumeAuto = "auto"

// lastOf returns the checkpoint of a run to go on with, none if there is no run yet, as rank 0 sees it.
func lastOf(ctx context.Context, group *processes.Group, folder string) (string, error) {
	name := []byte(train.LastCheckpoint)
	if _, err := os.Stat(filepath.Join(folder, train.LastCheckpoint)); errors.Is(err, fs.ErrNotExist) {
		name = nil
	} else if err != nil {
		return "", err
	}
	if group == nil {
		return string(name), nil
	}
	all, err := group.Gather(ctx, name)
	if err != nil {
		return "", err
	}
	return string(all[0]), nil
}

// sharers returns how many processes run on the cores of this one, itself included: those of its machine, unless what started
// them (srun, mpirun) has given each its own.
func sharers(ctx context.Context, group *processes.Group) (int, error) {
	host, _ := os.Hostname()
	all, err := group.Gather(ctx, []byte(host+" "+processor.Affinity()))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, other := range all {
		if bytes.Equal(other, all[group.Rank()]) {
			n++
		}
	}
	return min(n, group.Plan().LocalSize), nil
}

// sameData is an error in all processes if they have not read the same annotations: each would take its part of another plan, or
// learn from other masks.
func sameData(ctx context.Context, group *processes.Group, set *data.COCO) error {
	all, err := group.Gather(ctx, fmt.Appendf(nil, "%d pictures, checksum %s", set.Len(), set.Checksum()))
	if err != nil {
		return err
	}
	for r, other := range all {
		if !bytes.Equal(other, all[0]) {
			return fmt.Errorf("--train: rank %d has read %s, rank 0 %s: all processes need the same data, of which none is left out by --on-error skip in some only", r, other, all[0])
		}
	}
	return nil
}

// picturesSum tells data sets of other pictures apart: what is true of them only rank 0 asks.
func picturesSum(set *evaluation.Set) string {
	sum := sha256.New()
	for _, m := range set.Images {
		fmt.Fprintf(sum, "%d %d %d %q\n", m.ID, m.Width, m.Height, m.FileName)
	}
	return fmt.Sprintf("%d pictures, checksum %x", len(set.Images), sum.Sum(nil)[:8])
}

// spread makes a function that evaluates do its part of the pictures of a set in each process, and gives
// rank 0 the results of all, in the order of the pictures.
func spread(ctx context.Context, group *processes.Group, set *evaluation.Set, run func(part *evaluation.Set) ([]coco.Result, error)) ([]coco.Result, []int64, error) {
	if group == nil {
		results, err := run(set)
		return results, set.IDs(), err
	}
	part := *set
	n, rank, size := len(set.Images), group.Rank(), group.Size()
	part.Images = append([]evaluation.Image{}, set.Images[rank*n/size:(rank+1)*n/size]...)
	type outcome struct {
		Results []byte
		IDs     []int64
		Error   string
	}
	var mine outcome
	var own error
	if len(part.Images) > 0 {
		var results []coco.Result
		if results, own = run(&part); own == nil {
			var text bytes.Buffer
			own = coco.WriteResults(&text, results)
			mine = outcome{Results: text.Bytes(), IDs: part.IDs()}
		}
	}
	if len(part.Images) == 0 { // those of this part were left out, as others may not have been
		own = nil
	}
	if own != nil {
		mine.Error = own.Error()
	}
	var message bytes.Buffer
	if err := gob.NewEncoder(&message).Encode(mine); err != nil {
		return nil, nil, err
	}
	all, err := group.Gather(context.WithoutCancel(ctx), message.Bytes())
	if err != nil {
		return nil, nil, errors.Join(own, err)
	}
	var results []coco.Result
	var ids []int64
	for r, text := range all {
		var o outcome
		if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&o); err != nil {
			return nil, nil, err
		}
		if o.Error != "" {
			return nil, nil, errors.Join(own, ctx.Err(), fmt.Errorf("rank %d: %s", r, o.Error))
		}
		if len(o.IDs) == 0 || rank > 0 {
			continue
		}
		part, err := coco.ReadResults(bytes.NewReader(o.Results))
		if err != nil {
			return nil, nil, err
		}
		results, ids = append(results, part...), append(ids, o.IDs...)
	}
	if rank == 0 && len(ids) == 0 {
		return nil, nil, errors.New("evaluation: none of the pictures can be read")
	}
	return results, ids, nil
}
