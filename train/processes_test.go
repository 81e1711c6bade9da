//go:build unix

package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/torch/processes"
	"github.com/diffusioninst/go/train/data"
)

func init() { learnAsRank = learnWithOthers }

// A lesson is what a process learned.
type lesson struct {
	Totals, Norms []float64
	Parameters    [][]float64
}

// togetherOptions are the recipes that processes try.
func togetherOptions() []Options {
	federated := Objective{Federated: &Federated{Weights: []float32{1, 2, 1}, Classes: 3}}
	return []Options{learning(Options{Seed: 3, SyncBatchNorm: true}), learning(Options{Seed: 4, SyncBatchNorm: true, Objective: federated})}
}

// mine is a process's part of a batch.
func mine(batch []data.Sample, rank, size int) []data.Sample {
	return batch[(rank*len(batch)+size-1)/size : ((rank+1)*len(batch)+size-1)/size]
}

// learnTogether makes three steps, of two parts each: the last has fewer pictures than there are processes.
func learnTogether(o Options) (l lesson, err error) {
	rank, size := 0, 1
	if o.Processes != nil {
		rank, size = o.Processes.Rank(), o.Processes.Size()
	}
	c := batchNormed()
	c.Classes = []string{"a", "b", "c"}
	tr, err := New(context.Background(), c, nn.FromSeed(uint64(1+10*rank)), torch.CPU, o) // rank 0's counts
	if err != nil {
		return l, err
	}
	defer tr.Close()
	step := func(parts ...[]data.Sample) error {
		for i := range parts {
			parts[i] = mine(parts[i], rank, size)
		}
		r, err := tr.Step(context.Background(), parts...)
		if err == nil {
			l.Totals, l.Norms = append(l.Totals, r.Total), append(l.Norms, r.Norm)
		}
		return err
	}
	batch := five()
	if err := errors.Join(step(batch[:3], batch[1:]), step(batch[1:], batch[:4])); err != nil {
		return l, err
	}
	if rank > 0 || size == 1 { // the error of one is that of all, and nothing moves
		batch[4].Objects = []data.Object{{Class: 7}}
	}
	if err := step(batch); err == nil || size > 1 && !errors.As(err, new(*ProcessError)) {
		return l, fmt.Errorf("a broken sample gives %w", err)
	}
	batch = five()
	if err := step(batch[:1], batch[:3]); err != nil {
		return l, err
	}
	for _, p := range tr.store.Parameters() {
		l.Parameters = append(l.Parameters, torch.Values[float64](p.Tensor))
	}
	return l, nil
}

func learnWithOthers(folder string) error {
	plan, err := processes.FromEnvironment(os.LookupEnv)
	if err != nil {
		return err
	}
	group, err := processes.Join(context.Background(), plan, processes.Options{Timeout: 2 * time.Minute})
	if err != nil {
		return err
	}
	defer group.Close()
	var all []lesson
	for _, o := range togetherOptions() {
		o.Processes = group
		l, err := learnTogether(o)
		if err != nil {
			return err
		}
		all = append(all, l)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, fmt.Sprint(plan.Rank)), text, 0o666)
}

// Two and three processes learn what one does, with synchronised norms, a federated loss, batches in parts,
// pictures without objects and fewer pictures than processes; and all the same bits.
func TestProcessesLearnAsOne(t *testing.T) {
	store, err := processes.OpenStore()
	if errors.Is(err, processes.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	store.Close()
	var want []lesson
	for _, o := range togetherOptions() {
		l, err := learnTogether(o)
		require.NoError(t, err)
		want = append(want, l)
	}
	for _, size := range []int{2, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			store, err := processes.OpenStore()
			require.NoError(t, err)
			defer store.Close()
			folder := t.TempDir()
			var all []*proctest.Child
			for rank := range size {
				cmd := proctest.Command(t, os.Args[0])
				cmd.Env = append(append(os.Environ(), store.Environment(rank, size)...), asRank+"="+folder)
				all = append(all, proctest.Start(t, cmd))
			}
			var first string
			for rank, c := range all {
				require.Zero(t, c.Wait(), c.Output())
				text, err := os.ReadFile(filepath.Join(folder, fmt.Sprint(rank)))
				require.NoError(t, err)
				if rank == 0 {
					first = string(text)
				}
				require.Equal(t, first, string(text), "all ranks have the same bits")
			}
			var got []lesson
			require.NoError(t, json.Unmarshal([]byte(first), &got))
			for i, w := range want {
				for k := range w.Totals {
					require.InEpsilon(t, w.Totals[k], got[i].Totals[k], 1e-9)
					require.InEpsilon(t, w.Norms[k], got[i].Norms[k], 1e-8)
				}
				worst := 0.0
				for k, p := range w.Parameters {
					worst = max(worst, distance(got[i].Parameters[k], p))
				}
				require.Less(t, worst, 1e-8)
				t.Logf("%d processes, recipe %d: parameters within %.1e of one process's", size, i, worst)
			}
		})
	}
}
