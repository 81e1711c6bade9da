package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// learning is a recipe in which every parameter moves along its gradient.
func learning(o Options) Options {
	o.Frozen, o.Schedule, o.Rate, o.Float64 = []string{}, nn.ConstantRate{}, 1e-2, true
	o.Optimizer = func(groups []nn.ParamGroup) nn.Optimizer { return nn.NewSGD(groups, nn.SGDOptions{}) }
	return o
}

// five pictures, the third and fourth without objects.
func five() []data.Sample {
	two := pictures(3)
	return append(two, picture("nothing", 48, 48, 3), two[0])
}

// With synchronised norms a step is the same whatever the number of replicas: same
// losses, same gradients, same parameters and running statistics. One replica may have
// no object at all, and there may be more replicas than pictures.
func TestReplicasLearnAsOne(t *testing.T) {
	federated := Objective{Federated: &Federated{Weights: []float32{1, 2, 1}, Classes: 3}}
	for name, objective := range map[string]Objective{"": {}, "federated": federated} {
		t.Run(name, func(t *testing.T) {
			run := func(replicas int) (*Trainer, []*Report) {
				c := batchNormed()
				c.Classes = []string{"a", "b", "c"}
				tr := newTrainer(t, c, learning(Options{Seed: 3, Objective: objective, Replicas: replicas, SyncBatchNorm: true}))
				var reports []*Report
				for range 2 {
					batch := five()
					r, err := tr.Step(context.Background(), batch[:3], batch[1:])
					require.NoError(t, err)
					reports = append(reports, r)
				}
				return tr, reports
			}
			one, want := run(1)
			for _, replicas := range []int{2, 3, 6} {
				t.Run(fmt.Sprint(replicas), func(t *testing.T) {
					several, got := run(replicas)
					for i := range want {
						require.Equal(t, want[i].Step, got[i].Step)
						require.InEpsilon(t, want[i].Total, got[i].Total, 1e-9)
						require.InEpsilon(t, want[i].Norm, got[i].Norm, 1e-8)
						for k, l := range want[i].Losses {
							require.Equal(t, l.Name, got[i].Losses[k].Name)
							require.InDelta(t, l.Value, got[i].Losses[k].Value, 1e-9*math.Max(1, l.Value), l.Name)
						}
					}
					for i, p := range one.store.Parameters() {
						far := distance(torch.Values[float64](several.store.Parameters()[i].Tensor), torch.Values[float64](p.Tensor))
						require.Less(t, far, 1e-8, p.Name)
					}
				})
			}
		})
	}
}

// Without synchronisation norms see their replica's pictures, and the running
// statistics are the mean of the replicas'. Everything else is as before: the losses
// are divided by the matches of all.
func TestReplicasWithTheirOwnNorms(t *testing.T) {
	a := picture("a", 64, 64, 2, diffusioninst.Box{X1: 4, Y1: 6, X2: 30, Y2: 40})
	b := picture("b", 64, 64, 2, diffusioninst.Box{X1: 34, Y1: 10, X2: 60, Y2: 30})
	b.RGB[0] = 255
	run := func(replicas int, batch ...data.Sample) *Trainer {
		tr := newTrainer(t, batchNormed(), learning(Options{Draws: fixed{time: 300, noise: 0.3}, Replicas: replicas}))
		_, err := tr.Step(context.Background(), batch)
		require.NoError(t, err)
		return tr
	}
	both, first, second := run(2, a, b), run(1, a), run(1, b)
	seen := 0
	for i, n := range both.store.Norms() {
		x := torch.Values[float64](first.store.Norms()[i].Mean)
		y := torch.Values[float64](second.store.Norms()[i].Mean)
		for k, got := range torch.Values[float64](n.Mean) {
			require.InDelta(t, (x[k]+y[k])/2, got, 1e-9, "%s: the mean of the running means", n.Name)
		}
		seen++
	}
	require.Positive(t, seen)
}

func TestReplicasRepeatBitForBit(t *testing.T) {
	for _, synchronised := range []bool{false, true} {
		run := func() *Trainer {
			o := Options{Seed: 3, Replicas: 2, SyncBatchNorm: synchronised, EMA: 0.9, Frozen: []string{}}
			tr := newTrainer(t, batchNormed(), o)
			steps(t, tr, 3)
			return tr
		}
		// The first one's state is made before the second starts counting tensors.
		first := run()
		everything(t, first)
		requireSame(t, first, run())
	}
}

// A run with replicas and stochastic depth goes on where it was cut off.
func TestReplicasResume(t *testing.T) {
	c, o := randomlyDeep(), Options{Seed: 3, Replicas: 2, Frozen: []string{}}
	path := filepath.Join(t.TempDir(), "state")
	first := newTrainer(t, c, o)
	steps(t, first, 2)
	require.NoError(t, first.Save(context.Background(), path, nil))
	want := steps(t, first, 2)

	o.Seed = 4
	second := newTrainer(t, c, o)
	_, err := second.Resume(context.Background(), path)
	require.NoError(t, err)
	// Bit for bit with LibTorch 1.13; 2.6 has been seen to round otherwise.
	for i, r := range steps(t, second, 2) {
		require.InEpsilon(t, want[i].Total, r.Total, 1e-5)
		for k, l := range r.Losses {
			require.InEpsilon(t, want[i].Losses[k].Value, l.Value, 1e-4, l.Name)
		}
	}
	_, memoryFirst := everything(t, first)
	_, memorySecond := everything(t, second)
	require.Equal(t, memoryFirst, memorySecond, "random numbers and counts are the same to the bit")
}

// lost is Draws whose noise for one picture is not a number.
type lost struct {
	fixed
	picture int
	drawn   *int
}

func (d lost) Time(times int) int {
	*d.drawn++
	return d.fixed.Time(times)
}

func (d lost) Noise(n int) []float32 {
	out := d.fixed.Noise(n)
	if *d.drawn == d.picture {
		out[0] = float32(math.NaN())
	}
	return out
}

// spoilt is a term that is not a number where a batch has a picture.
type spoilt string

func (spoilt) Name() string { return "loss_spoilt" }

func (id spoilt) Loss(p StagePrediction) *torch.Tensor {
	out := p.Boxes.Sum().MulScalar(1e-6)
	for _, s := range p.Samples {
		if s.ID == string(id) {
			out = out.MulScalar(math.NaN())
		}
	}
	return out
}

// A replica that fails ends the waiting of the others, wherever they are; nothing moves.
func TestReplicasFailTogether(t *testing.T) {
	for _, synchronised := range []bool{false, true} {
		drawn := 0
		o := learning(Options{Draws: lost{fixed{time: 300, noise: 0.3}, 2, &drawn}, Replicas: 3, SyncBatchNorm: synchronised})
		tr := newTrainer(t, batchNormed(), o)
		before, live := trainerNorm(tr), torch.Live()
		_, err := tr.Step(context.Background(), pictures(2))
		var e *torch.Error // boxes that are nowhere, in the forward pass
		require.ErrorAs(t, err, &e)
		require.Equal(t, "roi_align", e.Op)
		require.Equal(t, before, trainerNorm(tr))
		require.Equal(t, live, torch.Live())
		_, err = tr.Step(context.Background(), pictures(2))
		require.NoError(t, err, "the next step goes well")

		o = learning(Options{Objective: Objective{Extra: []StageLoss{spoilt("none")}}, Replicas: 3, SyncBatchNorm: synchronised})
		tr = newTrainer(t, batchNormed(), o)
		before = trainerNorm(tr)
		_, err = tr.Step(context.Background(), pictures(2))
		var nan *nn.NotFiniteError // between the passes
		require.ErrorAs(t, err, &nan)
		require.Equal(t, "loss_spoilt", nan.Where)
		require.Equal(t, []string{"none"}, nan.Samples, "the picture of the replica that failed")
		require.Equal(t, before, trainerNorm(tr))
	}
}

func TestReplicasThatCannotBe(t *testing.T) {
	_, err := New(context.Background(), small(2), nn.FromSeed(1), torch.CPU, Options{Replicas: -1})
	require.ErrorContains(t, err, "-1 replicas")
}
