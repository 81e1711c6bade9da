package train

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
	"github.com/diffusioninst/go/train/data"
)

// Tolerances of the golden cases, relative. The reference computed in float32, where
// some networks with random weights are badly conditioned: a ReLU whose input rounds
// to the other side of zero, or attention between two logits of 255,000, changes a
// gradient by a percent. An eager network rounds as the reference did, where LibTorch
// does, and must be within the tolerances as they are. For the usual one, and elsewhere,
// every case is also replayed in float64 and with weights shaken by a unit in the last
// place. The differences between all these show the effect of rounding. The k-th largest error may
// exceed the tolerance by conditioning times the k-th largest of them. First losses get
// no such allowance.
const (
	lossTolerance       = 1e-4
	cudaLossTolerance   = 1e-3
	gradientTolerance   = 1e-3
	trajectoryTolerance = 1e-3
	conditioning        = 3
)

// shakenWeights are off by a unit in the last place at every other element.
type shakenWeights struct{ modeltest.Weights }

func (w shakenWeights) Parameter(s *torch.Scope, name string, shape []int, init nn.Init) (*torch.Tensor, error) {
	x, err := w.Weights.Parameter(s, name, shape, init)
	if x == nil || err != nil {
		return x, err
	}
	values := torch.Values[float32](x)
	for i := 0; i < len(values); i += 2 {
		values[i] = math.Nextafter32(values[i], 0)
	}
	return torch.From(s, values, shape...), nil
}

// goldenCase is a training case on its way through a Trainer.
type goldenCase struct {
	t    *testing.T
	dir  string
	file *checkpoint.File
	step int
	draw int
	got  map[string][]float64 // named as in the file
}

func (g *goldenCase) has(name string) bool { _, ok := g.file.Tensor(name); return ok }

// read is a tensor's values, converted to float64, and its shape.
func (g *goldenCase) read(name string) ([]float64, []int) {
	g.t.Helper()
	x := modeltest.Tensor(g.t, nil, g.file, name)
	defer x.Close()
	return torch.Values[float64](x), x.Shape()
}

// names lists the tensors whose name starts with prefix, without it.
func (g *goldenCase) names(prefix string) []string {
	var out []string
	for _, t := range g.file.Tensors {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// next is the step's next recorded draw, which must be of the given kind.
func (g *goldenCase) next(kind string) []float64 {
	g.t.Helper()
	values, _ := g.read(fmt.Sprintf("step%d.rng%02d.%s", g.step, g.draw, kind))
	g.draw++
	return values
}

func (g *goldenCase) Time(times int) int {
	v := g.next("randint")
	require.Len(g.t, v, 1)
	require.Less(g.t, v[0], float64(times))
	return int(v[0])
}

func (g *goldenCase) Noise(n int) []float32 {
	v := g.next("randn")
	require.Len(g.t, v, n)
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(v[i])
	}
	return out
}

func (g *goldenCase) Subset(int, int) []int {
	g.t.Fatal("the reference's choice among too many ground truths is not recorded")
	return nil
}

func (g *goldenCase) Classes(weights []float32, n int) []int {
	v := g.next("multinomial")
	require.Len(g.t, v, n)
	out := make([]int, n)
	for i := range out {
		out[i] = int(v[i])
		require.Positive(g.t, weights[out[i]], "a class without weight was drawn")
	}
	return out
}

// samples are the case's pictures and ground truths.
func (g *goldenCase) samples() []data.Sample {
	var out []data.Sample
	for i := 0; g.has(fmt.Sprintf("image%d.hwc_u8", i)); i++ {
		at := func(what string) ([]float64, []int) { return g.read(fmt.Sprintf("image%d.%s", i, what)) }
		rgb, shape := at("hwc_u8")
		boxes, _ := at("gt_boxes_xyxy")
		classes, _ := at("gt_classes")
		packed, packing := at("gt_masks_packed")
		s := data.Sample{ID: fmt.Sprintf("image%d", i), Height: shape[0], Width: shape[1]}
		for _, v := range rgb {
			s.RGB = append(s.RGB, uint8(v))
		}
		for k, class := range classes {
			m := mask.NewBitmap(s.Width, s.Height)
			for y := range s.Height {
				for x := range s.Width {
					at := (k*packing[1]+y)*packing[2] + x/8
					m.Set(x, y, uint8(packed[at])>>(x%8)&1 == 1)
				}
			}
			b := boxes[4*k:]
			s.Objects = append(s.Objects, data.Object{Class: int(class), Box: diffusioninst.Box{X1: float32(b[0]), Y1: float32(b[1]), X2: float32(b[2]), Y2: float32(b[3])}, Mask: m})
		}
		out = append(out, s)
	}
	return out
}

// spy notes the gradients that an optimiser gets at its first step.
type spy struct {
	nn.Optimizer
	groups []nn.ParamGroup
	g      *goldenCase
}

func (o *spy) Step(rate float64) {
	if o.g.step == 0 {
		s := torch.NewScope()
		defer s.Close()
		for _, group := range o.groups {
			for _, p := range group.Parameters {
				if grad := p.Tensor.Grad(s); grad != nil {
					values := torch.Values[float64](grad)
					o.g.got["step0.gradnorm."+p.Name] = []float64{length(values)}
					o.g.got["step0.grad."+p.Name] = values
				}
			}
		}
	}
	o.Optimizer.Step(rate)
}

// distance is ‖got−want‖/‖want‖.
func distance(got, want []float64) float64 {
	var d, n float64
	for i := range want {
		d += (got[i] - want[i]) * (got[i] - want[i])
		n += want[i] * want[i]
	}
	return math.Sqrt(d) / math.Max(math.Sqrt(n), 1e-30)
}

func length(x []float64) float64 {
	var n float64
	for _, v := range x {
		n += v * v
	}
	return math.Sqrt(n)
}

func TestGolden(t *testing.T) {
	golden.Each(t, golden.Training, func(t *testing.T, dir string) {
		file, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
		require.NoError(t, err)
		defer file.Close()
		modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
			replay := func(how variant) *goldenCase {
				g := &goldenCase{t: t, dir: dir, file: file, got: map[string][]float64{}}
				g.replay(device, how)
				return g
			}
			usual, eager := replay(usual), replay(eager)
			all := []*goldenCase{usual, eager, replay(double), replay(shaken)}
			usual.judge("", device, conditioning, all)
			allowance := float64(conditioning)
			if !device.IsCUDA() && modeltest.RoundsAsGolden(t) {
				allowance = 0
			}
			eager.judge("eager, ", device, allowance, all)
		})
	})
}

// variant is a way to replay a case.
type variant int

const (
	usual  variant = iota // float32
	eager                 // float32, operator by operator
	double                // float64
	shaken                // float32, weights off by about a unit in the last place
)

// replay runs all steps of the case and notes what the file has values of.
func (g *goldenCase) replay(device torch.Device, how variant) {
	t := g.t
	path := filepath.Join(g.dir, "config.yaml")
	config, _, err := diffusioninst.LoadConfig(path)
	require.NoError(t, err)
	if swin, ok := config.Backbone.(backbone.SwinFPN); ok {
		swin.Swin.DropRate = -1 // its draws are not recorded
		config.Backbone = swin
	}
	recipe, err := LoadRecipe(path, nil)
	require.NoError(t, err)
	options := recipe.Options
	options.Schedule = nn.ConstantRate{}
	options.Float64, options.Eager = how == double, how == eager
	options.Draws = g
	options.Objective.Quirks = diffusioninst.Reference
	if options.Objective.Federated != nil {
		weights, _ := g.read("fed_loss_cls_weights")
		options.Objective.Federated.Weights = nil
		for _, w := range weights {
			options.Objective.Federated.Weights = append(options.Objective.Federated.Weights, float32(w))
		}
	}
	options.Optimizer = func(groups []nn.ParamGroup) nn.Optimizer {
		return &spy{nn.NewAdamW(groups, nn.AdamWOptions{}), groups, g}
	}
	var weights nn.Source = modeltest.GoldenWeights(t, g.dir)
	if how == shaken {
		weights = shakenWeights{modeltest.GoldenWeights(t, g.dir)}
	}
	before := torch.Live()
	trainer, err := New(context.Background(), config, weights, device, options)
	require.NoError(t, err)
	samples := g.samples()
	live := torch.Live()
	for ; g.has(fmt.Sprintf("step%d.total", g.step)); g.step++ {
		g.draw = 0
		r, err := trainer.Step(context.Background(), samples)
		require.NoError(t, err)
		require.Equal(t, live, torch.Live(), "a step leaves nothing behind")
		require.Empty(t, g.names(fmt.Sprintf("step%d.rng%02d.", g.step, g.draw)), "draws that nobody asked for")
		for _, l := range r.Losses {
			g.got[fmt.Sprintf("step%d.loss.%s", g.step, l.Name)] = []float64{l.Value}
		}
		g.got[fmt.Sprintf("step%d.total", g.step)] = []float64{r.Total}
		if g.step == 0 {
			g.unclip(r.Norm / min(r.Norm, options.Clip))
		}
	}
	for _, p := range trainer.store.Parameters() {
		values := torch.Values[float64](p.Tensor)
		g.got["after."+p.Name] = values
		if !p.Buffer && p.Tensor.RequiresGrad() {
			g.got["after.norm."+p.Name] = []float64{length(values)}
		}
	}
	trainer.Close()
	require.Equal(t, before, torch.Live(), "tensors left behind")
}

// unclip undoes the clipping of the gradients; the file has them from before.
func (g *goldenCase) unclip(factor float64) {
	for name, values := range g.got {
		if strings.HasPrefix(name, "step0.grad") {
			for i := range values {
				values[i] *= factor
			}
		}
	}
}

// spread is how far the variants are apart in a quantity.
func spread(variants []*goldenCase, name string) float64 {
	most := 0.0
	for i, a := range variants {
		for _, b := range variants[:i] {
			most = math.Max(most, distance(a.got[name], b.got[name]))
		}
	}
	return most
}

// judge holds the results against the file. How far rounding moves them, times allowance,
// is forgiven; the variants are the measure of that.
func (g *goldenCase) judge(label string, device torch.Device, allowance float64, variants []*goldenCase) {
	first := lossTolerance
	if device.IsCUDA() {
		first = cudaLossTolerance
	}
	for _, prefix := range []string{"step0.loss.", "step1.loss.", "step2.loss.", "step0.gradnorm.", "after.norm."} {
		var have []string
		for name := range g.got {
			if name, ok := strings.CutPrefix(name, prefix); ok {
				have = append(have, name)
			}
		}
		slices.Sort(have)
		require.Equal(g.t, g.names(prefix), have, prefix)
	}
	for _, kind := range []struct {
		name      string
		prefix    []string
		tolerance float64
		allowance float64
	}{
		{"first losses", []string{"step0.loss.", "step0.total"}, first, 0},
		{"gradient norms", []string{"step0.gradnorm."}, gradientTolerance, allowance},
		{"whole gradients", []string{"step0.grad."}, gradientTolerance, allowance},
		{"later losses", []string{"step1.loss.", "step1.total", "step2.loss.", "step2.total"}, trajectoryTolerance, allowance},
		{"parameters after", []string{"after."}, trajectoryTolerance, allowance},
	} {
		var errs, roundings []quantity
		for _, prefix := range kind.prefix {
			for _, name := range g.names(prefix) {
				name = prefix + name
				want, _ := g.read(name)
				got := g.got[name]
				require.Len(g.t, got, len(want), name)
				if length(want) == 0 {
					require.Zero(g.t, length(got), name)
					continue
				}
				errs = append(errs, quantity{name, distance(got, want)})
				roundings = append(roundings, quantity{name, spread(variants, name)})
			}
		}
		require.NotEmpty(g.t, errs, kind.name)
		slices.SortFunc(errs, descending)
		slices.SortFunc(roundings, descending)
		above := 0
		for i, e := range errs {
			if e.error > kind.tolerance {
				above++
			}
			if limit := kind.tolerance + kind.allowance*roundings[i].error; !(e.error <= limit) {
				g.t.Errorf("%s%s: %s is off by %.3g, more than %.3g", label, kind.name, e.name, e.error, limit)
			}
		}
		g.t.Logf("%-23s at most %.2g (%s); %d of %d above %g; rounding moves them by at most %.2g",
			label+kind.name, errs[0].error, errs[0].name, above, len(errs), kind.tolerance, roundings[0].error)
	}
}

// quantity is the relative error of something.
type quantity struct {
	name  string
	error float64
}

func descending(a, b quantity) int { return cmp.Compare(b.error, a.error) }
