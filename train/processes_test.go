//go:build unix

package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/fakecuda"
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
	Pictures      []int
	Parameters    [][]float64
}

// togetherOptions are the recipes that processes try.
func togetherOptions() []Options {
	federated := Objective{Federated: &Federated{Weights: []float32{1, 2, 1}, Classes: 3}}
	return []Options{learning(Options{Seed: 3, SyncBatchNorm: true, EMA: 0.9}), learning(Options{Seed: 4, SyncBatchNorm: true, Objective: federated})}
}

// where is the fake GPU if there is one.
func where() torch.Device {
	if fakecuda.Inside() {
		return torch.CUDA(0)
	}
	return torch.CPU
}

// mine is a process's part of a batch.
func mine(batch []data.Sample, rank, size int) []data.Sample {
	return batch[(rank*len(batch)+size-1)/size : ((rank+1)*len(batch)+size-1)/size]
}

// learnTogether makes three steps of two parts each and saves the state to a folder, or, if from is a
// state, resumes from it; then it makes three more, of which one is of pictures without objects and one
// of fewer pictures than there are processes.
func learnTogether(o Options, from, to string) (l lesson, err error) {
	rank, size := 0, 1
	if o.Processes != nil {
		rank, size = o.Processes.Rank(), o.Processes.Size()
	}
	c := batchNormed()
	c.Classes = []string{"a", "b", "c"}
	tr, err := New(context.Background(), c, nn.FromSeed(uint64(1+10*rank)), where(), o) // rank 0's counts
	if err != nil {
		return l, err
	}
	defer tr.Close()
	if (tr.buckets != nil) != (fakecuda.Inside() && size > 1) {
		return l, fmt.Errorf("rank %d of %d: buckets are %v", rank, size, tr.buckets)
	}
	ctx := context.Background()
	step := func(parts ...[]data.Sample) error {
		for i := range parts {
			parts[i] = mine(parts[i], rank, size)
		}
		r, err := tr.Step(ctx, parts...)
		if err == nil {
			l.Totals, l.Norms, l.Pictures = append(l.Totals, r.Total), append(l.Norms, r.Norm), append(l.Pictures, r.Pictures)
		}
		return err
	}
	batch := five()
	if from == "" {
		if err := errors.Join(step(batch[:3], batch[1:]), step(batch[1:], batch[:4])); err != nil {
			return l, err
		}
		if rank == 0 {
			err = tr.Save(ctx, to, nil)
		}
	} else {
		_, err = tr.Resume(ctx, from)
	}
	if err != nil {
		return l, err
	}
	if rank > 0 || size == 1 { // the error of one is that of all, and nothing moves
		batch[4].Objects = []data.Object{{Class: 7}}
	}
	if err := step(batch); err == nil || size > 1 && !errors.As(err, new(*ProcessError)) {
		return l, fmt.Errorf("a broken sample gives %w", err)
	}
	batch = five()
	if rank == size-1 { // one that is cancelled stops all
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		ctx = cancelled
	}
	if err := step(batch); !errors.Is(err, context.Canceled) {
		return l, fmt.Errorf("a cancelled step gives %w", err)
	}
	ctx = context.Background()
	if err := errors.Join(step(batch[2:4], batch[2:3]), step(batch[:1], batch[:3]), step(batch)); err != nil {
		return l, err
	}
	all := tr.store.Parameters()
	if tr.average != nil {
		all = append(all, tr.average.Parameters()...)
	}
	for _, p := range all {
		l.Parameters = append(l.Parameters, torch.Values[float64](p.Tensor))
	}
	if err := tr.sameParameters(ctx); err != nil {
		return l, err
	}
	if rank == size-1 {
		err = torch.Do(ctx, func(s *torch.Scope) error {
			all := tr.store.Parameters()
			i := slices.IndexFunc(all, func(p *nn.Parameter) bool { return !p.Buffer })
			p := s.Adopt(all[i].Tensor).Detach()
			p.CopyInPlace(p.AddScalar(1e-9))
			return nil
		})
		if err != nil {
			return l, err
		}
	}
	if err := tr.sameParameters(ctx); size > 1 && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("rank %d has other parameters", size-1))) {
		return l, fmt.Errorf("a process that has drifted away gives %w", err)
	}
	return l, nil
}

// stateOf is where processes of a number leave their state of a recipe.
func stateOf(folder string, recipe, size int) string {
	return filepath.Join(folder, fmt.Sprintf("%d-of-%d.safetensors", recipe, size))
}

// learnWithOthers learns each recipe from the start, and the last from the state that one process fewer has left.
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
	learn := func(i int, o Options, from string) error {
		o.Processes = group
		l, err := learnTogether(o, from, stateOf(folder, i, plan.Size))
		all = append(all, l)
		return err
	}
	recipes := togetherOptions()
	for i, o := range recipes {
		if err := learn(i, o, ""); err != nil {
			return err
		}
	}
	last := len(recipes) - 1
	if err := learn(last, recipes[last], stateOf(folder, last, plan.Size-1)); err != nil {
		return err
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, fmt.Sprint(plan.Rank)), text, 0o666)
}

func needGloo(t *testing.T) {
	t.Helper()
	store, err := processes.OpenStore()
	if errors.Is(err, processes.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	store.Close()
}

// Two and three processes learn what one does, with synchronised norms, a federated loss, batches in parts,
// pictures without objects and fewer pictures than processes; and all bit-identical. A state of one is
// resumed by two, of two by three, and of three by one.
func TestProcessesLearnAsOne(t *testing.T) {
	needGloo(t)
	folder := t.TempDir()
	var want []lesson
	recipes := togetherOptions()
	last := len(recipes) - 1
	for i, o := range recipes {
		l, err := learnTogether(o, "", stateOf(folder, i, 1))
		require.NoError(t, err)
		want = append(want, l)
	}
	// same compares a lesson, perhaps of the last steps only.
	same := func(t *testing.T, recipe int, got lesson, how string) {
		w := want[recipe]
		first := len(w.Totals) - len(got.Totals)
		require.Equal(t, w.Pictures[first:], got.Pictures, "the whole batch's")
		for k := range got.Totals {
			require.InEpsilon(t, w.Totals[first+k], got.Totals[k], 1e-9)
			require.InEpsilon(t, w.Norms[first+k], got.Norms[k], 1e-8)
		}
		worst := 0.0
		for k, p := range w.Parameters {
			worst = max(worst, distance(got.Parameters[k], p))
		}
		require.Less(t, worst, 1e-8)
		t.Logf("recipe %d, %s: parameters within %.1e of one process's", recipe, how, worst)
	}
	for _, size := range []int{2, 3} {
		store, err := processes.OpenStore()
		require.NoError(t, err)
		defer store.Close()
		var all []*proctest.Child
		for rank := range size {
			cmd := proctest.Command(t, os.Args[0])
			cmd.Env = append(append(os.Environ(), store.Environment(rank, size)...), asRank+"="+folder, "OMP_NUM_THREADS=1")
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
			require.Equal(t, first, string(text), "all ranks are bit-identical")
		}
		var got []lesson
		require.NoError(t, json.Unmarshal([]byte(first), &got))
		for i := range want {
			same(t, i, got[i], fmt.Sprintf("%d processes", size))
		}
		same(t, last, got[len(want)], fmt.Sprintf("%d processes after %d", size, size-1))
	}
	l, err := learnTogether(recipes[last], stateOf(folder, last, 3), "")
	require.NoError(t, err)
	same(t, last, l, "one process after 3")
}

// So do processes on GPUs.
func TestProcessesLearnAsOneOnGPUs(t *testing.T) {
	if fakecuda.Inside() {
		t.Skip("is on one")
	}
	needGloo(t)
	env := fakecuda.Build(t)
	fakecuda.BuildNCCL(t, env)
	fakecuda.Run(t, env, "^TestProcessesLearnAsOne$")
}

// Processes whose runs differ say in what.
func TestDifference(t *testing.T) {
	require.Equal(t, "seed 2, not seed 1", difference("steps 5\nseed 2\nclip 1", "steps 5\nseed 1\nclip 1"))
	require.Equal(t, "clip 1, not ", difference("seed 1\nclip 1", "seed 1"))
	require.Equal(t, "it says less", difference("seed 1", "seed 1\nclip 1"))
}
