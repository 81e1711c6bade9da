package train

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

func TestStepsLearnAndRepeat(t *testing.T) {
	run := func() (first, last float64, live []int64) {
		trainer := newTrainer(t, small(3), Options{Rate: 2e-3, Schedule: nn.ConstantRate{}, Seed: 5, EMA: 0.9, Frozen: []string{}})
		var totals []float64
		for range 40 {
			r, err := trainer.Step(context.Background(), pictures(3))
			require.NoError(t, err)
			totals = append(totals, r.Total)
			live = append(live, torch.Live())
		}
		mean := func(v []float64) float64 {
			sum := 0.0
			for _, x := range v {
				sum += x / float64(len(v))
			}
			return sum
		}
		return mean(totals[:5]), mean(totals[35:]), live
	}
	first, last, live := run()
	require.Less(t, last, 0.9*first, "it learns")
	for _, n := range live {
		require.Equal(t, live[0], n, "handles stay flat over steps")
	}
	again, lastAgain, _ := run()
	require.Equal(t, first, again, "same seed, same losses")
	require.Equal(t, last, lastAgain)
}

func TestUntrainedScoresAreThePriorForAnyNumberOfClasses(t *testing.T) {
	for _, classes := range []int{1, 2, 3, 20} {
		trainer := newTrainer(t, small(classes), Options{})
		for _, p := range trainer.store.Parameters() {
			if strings.HasSuffix(p.Name, "class_logits.bias") {
				for _, v := range torch.Values[float64](p.Tensor) {
					require.InDelta(t, 0.01, 1/(1+math.Exp(-v)), 1e-6)
				}
			} else if p.Tensor.Dim() > 1 && p.Tensor.Size(-1) == classes && classes > 1 {
				values := torch.Values[float64](p.Tensor)
				require.NotEqual(t, values[0], values[1], "%s is a constant", p.Name)
			}
		}
		r, err := trainer.Step(context.Background(), pictures(classes))
		require.NoError(t, err)
		require.Len(t, r.Losses, 8)
		// A match whose score is the prior costs 2·¼·0.99²·ln 100 = 2.26, the rest next to nothing.
		require.InDelta(t, 2.26, r.Losses[0].Value, 2, "class loss of sane scores")
	}
}

func TestFrozenStagesStay(t *testing.T) {
	c := small(2)
	trainer := newTrainer(t, c, Options{Rate: 1e-2, Schedule: nn.ConstantRate{}})
	before := map[string][]float64{}
	for _, p := range trainer.store.Parameters() {
		before[p.Name] = torch.Values[float64](p.Tensor)
	}
	_, err := trainer.Step(context.Background(), pictures(2))
	require.NoError(t, err)
	moved, frozen := 0, 0
	for _, p := range trainer.store.Parameters() {
		same := distance(torch.Values[float64](p.Tensor), before[p.Name]) == 0
		switch {
		case strings.HasPrefix(p.Name, "backbone.bottom_up.stem.") || strings.HasPrefix(p.Name, "backbone.bottom_up.res2."):
			require.True(t, same, p.Name)
			frozen++
		case strings.HasPrefix(p.Name, "backbone.bottom_up") && p.Buffer:
			require.True(t, same, "%s is of a frozen norm", p.Name)
		case strings.HasSuffix(p.Name, "running_mean"):
			require.False(t, same, "%s follows the data", p.Name)
		case !same:
			moved++
		}
	}
	require.Positive(t, frozen)
	require.Greater(t, moved, 100)
}

func TestPartsAverageTheirGradients(t *testing.T) {
	// The same pictures twice, with the same draws, are worth as much as once.
	c := small(2)
	step := func(parts ...[]data.Sample) *Report {
		trainer := newTrainer(t, c, Options{Draws: fixed{time: 300, noise: 0.3}})
		r, err := trainer.Step(context.Background(), parts...)
		require.NoError(t, err)
		return r
	}
	once, twice := step(pictures(2)), step(pictures(2), pictures(2))
	require.InEpsilon(t, once.Total, twice.Total, 1e-5)
	require.InEpsilon(t, once.Norm, twice.Norm, 1e-4)
	require.Len(t, twice.Losses, len(once.Losses))
}

func TestNotFiniteIsNamedAndMovesNothing(t *testing.T) {
	trainer := newTrainer(t, small(2), Options{Schedule: nn.ConstantRate{}})
	poison := func(name string) func() {
		for _, p := range trainer.store.Parameters() {
			if p.Name == name {
				old := torch.Values[float32](p.Tensor)
				set := func(v []float32) {
					require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
						p.Tensor.CopyInPlace(torch.From(s, v, p.Tensor.Shape()...))
						return nil
					}))
				}
				bad := append([]float32(nil), old...)
				bad[0] = float32(math.NaN())
				set(bad)
				return func() { set(old) }
			}
		}
		t.Fatal(name)
		return nil
	}
	heal := poison("head.head_series.1.class_logits.bias")
	before := trainerNorm(trainer)
	_, err := trainer.Step(context.Background(), pictures(2))
	var e *nn.NotFiniteError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "prediction", e.Where)
	require.Equal(t, 1, e.Stage)
	require.Equal(t, []string{"two", "none", "one"}, e.Samples)
	require.ErrorContains(t, err, "prediction of decoder stage 1 is NaN on samples two, none, one")
	heal()

	heal = poison("head.mask_head.1.bias") // the mask features, which the decoder does not see
	_, err = trainer.Step(context.Background(), pictures(2))
	require.ErrorAs(t, err, &e)
	require.Equal(t, "loss_masks", e.Where)
	require.Equal(t, 1, e.Stage, "the last stage is looked at first")
	heal()
	require.Equal(t, before, trainerNorm(trainer), "no parameter has moved")
	r, err := trainer.Step(context.Background(), pictures(2))
	require.NoError(t, err)
	require.Zero(t, r.Step, "failed steps do not count")
}

// trainerNorm sums up all parameters that learn.
func trainerNorm(tr *Trainer) float64 {
	sum := 0.0
	for _, p := range tr.store.Parameters() {
		if !p.Buffer && !strings.Contains(p.Name, "class_logits.bias") {
			sum += length(torch.Values[float64](p.Tensor))
		}
	}
	return sum
}

func TestMoreGroundTruthsThanProposals(t *testing.T) {
	var boxes []diffusioninst.Box
	for i := range 30 {
		x, y := float32(i%6*10), float32(i/6*9)
		boxes = append(boxes, diffusioninst.Box{X1: x, Y1: y, X2: x + 8, Y2: y + 8})
	}
	trainer := newTrainer(t, small(2), Options{})
	_, err := trainer.Step(context.Background(), []data.Sample{picture("crowded", 64, 48, 2, boxes...)})
	require.NoError(t, err)
}

func TestBatchWithoutObjects(t *testing.T) {
	trainer := newTrainer(t, small(2), Options{})
	r, err := trainer.Step(context.Background(), []data.Sample{picture("empty", 40, 40, 2)})
	require.NoError(t, err)
	for _, l := range r.Losses {
		require.Equal(t, strings.HasPrefix(l.Name, "loss_ce"), l.Value != 0, l.Name)
	}
}

func TestSamplesAreChecked(t *testing.T) {
	good := func() data.Sample { return picture("p", 32, 32, 1, diffusioninst.Box{X1: 4, Y1: 4, X2: 20, Y2: 20}) }
	for want, spoil := range map[string]func(s *data.Sample){
		"3071 bytes for 32×32 pixels":             func(s *data.Sample) { s.RGB = s.RGB[1:] },
		"object 0 is of class 1 of 1":             func(s *data.Sample) { s.Objects[0].Class = 1 },
		"object 0 is of class -1 of 1":            func(s *data.Sample) { s.Objects[0].Class = -1 },
		"has no area":                             func(s *data.Sample) { s.Objects[0].Box.X2 = 4 },
		"object 0 has the box NaN":                func(s *data.Sample) { s.Objects[0].Box.X1 = float32(math.NaN()) },
		"object 0 has no mask":                    func(s *data.Sample) { s.Objects[0].Mask = nil },
		"a mask of 3×3 pixels, the picture 32×32": func(s *data.Sample) { s.Objects[0].Mask = mask.NewBitmap(3, 3) },
	} {
		s := good()
		require.NoError(t, s.Check(1))
		spoil(&s)
		var e *data.SampleError
		require.ErrorAs(t, s.Check(1), &e)
		require.ErrorContains(t, e, want)
		require.Equal(t, "p", e.ID)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no focal alone":    {Objective: Objective{NoFocal: true}},
		"federated weights": {Objective: Objective{Federated: &Federated{Weights: []float32{1}}}},
		"negative weight":   {Objective: Objective{Federated: &Federated{Weights: []float32{1, -1}}}},
		"EMA":               {EMA: 1},
		"NaN rate":          {Rate: math.NaN()},
		"negative rate":     {Rate: -1},
		"infinite weight":   {Objective: Objective{L1Weight: math.Inf(1)}},
		"no loss":           {Objective: Objective{ClassWeight: -1, L1Weight: -1, GIoUWeight: -1, MaskWeight: -1}},
		"alpha":             {Objective: Objective{Alpha: 2}},
		"best IoUs":         {Objective: Objective{BestIoUs: -1}},
		"eager replicas":    {Eager: true, Replicas: 2},
		"nothing left":      {Frozen: []string{"backbone.", "head."}},
		"an empty prefix":   {Frozen: []string{""}},
		"frozen name":       {Frozen: []string{"backbone.", "nobody."}},
		"eager bfloat16":    {Eager: true, Precision: torch.BFloat16},
	} {
		_, err := New(context.Background(), small(2), nn.FromSeed(1), torch.CPU, o)
		require.ErrorContains(t, err, "train: ", name)
	}
	// Negative is none.
	o, err := Options{EMA: -1, Decay: -1, Objective: Objective{MaskWeight: -1}}.withDefaults(2)
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0, 0, 5}, []float64{o.EMA, o.Decay, o.Objective.MaskWeight, o.Objective.L1Weight})
}

func TestGroups(t *testing.T) {
	trainer := newTrainer(t, small(2), Options{Decay: 0.1, NormDecay: -1, BiasDecay: 0.2, BackboneRate: 0.5, Frozen: []string{}})
	decay, rate := map[string]float64{}, map[string]float64{}
	for _, g := range trainer.options.groups(trainer.store.Parameters()) {
		for _, p := range g.Parameters {
			decay[p.Name], rate[p.Name] = g.Decay, g.Rate
		}
	}
	for name, want := range map[string][2]float64{
		"backbone.bottom_up.res3.0.conv1.weight":    {0.1, 0.5},
		"backbone.fpn_output2.bias":                 {0.2, 0.5},
		"head.head_series.0.norm1.weight":           {0, 1},
		"head.head_series.0.norm1.bias":             {0, 1},
		"head.head_series.0.self_attn.in_proj_bias": {0.2, 1},
		"head.mask_head.0.1.bias":                   {0, 1},
		"head.time_mlp.1.weight":                    {0.1, 1},
	} {
		require.Equal(t, want, [2]float64{decay[name], rate[name]}, name)
	}
}

func TestClosedTrainersSayThatTheyAre(t *testing.T) {
	ctx, folder := context.Background(), t.TempDir()
	trainer, err := New(ctx, small(2), nn.FromSeed(1), torch.CPU, Options{EMA: 0.9})
	require.NoError(t, err)
	require.NoError(t, trainer.Save(ctx, folder+"/state.safetensors", nil))
	trainer.Close()
	trainer.Close()
	_, err = trainer.Step(ctx, pictures(2))
	require.ErrorIs(t, err, ErrClosed)
	_, err = trainer.Snapshot(ctx)
	require.ErrorIs(t, err, ErrClosed)
	_, err = trainer.Resume(ctx, folder+"/state.safetensors")
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, trainer.Save(ctx, folder+"/state.safetensors", nil), ErrClosed)
	require.ErrorIs(t, trainer.Export(ctx, folder+"/model.pth", ExportOptions{}), ErrClosed)
	require.ErrorIs(t, (&Run{Trainer: trainer}).Do(ctx), ErrClosed)
}

func TestStepsWithoutSamplesAreErrors(t *testing.T) {
	trainer := newTrainer(t, small(2), Options{})
	for _, parts := range [][][]data.Sample{nil, {{}}, {pictures(2), nil}} {
		_, err := trainer.Step(context.Background(), parts...)
		require.EqualError(t, err, "train: a batch without samples")
	}
	require.Zero(t, trainer.Steps())
}
