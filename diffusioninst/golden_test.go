package diffusioninst

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/decoder"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// The tolerances of the golden cases for LibTorch 1.13 on the CPU, where the
// values come from.
const (
	featureTolerance = 1e-4
	stageTolerance   = 1e-3
	boxTolerance     = 0.05 // pixels
	scoreTolerance   = 1e-3
	maskTolerance    = 0.99 // least IoU
)

// goldenCase is a model case on its way through the model.
type goldenCase struct {
	t     *testing.T
	dir   string
	file  *checkpoint.File
	worst map[string]float64
}

// openGolden is the case in dir, open until the test ends.
func openGolden(t *testing.T, dir string) *goldenCase {
	t.Helper()
	file, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	return &goldenCase{t: t, dir: dir, file: file, worst: map[string]float64{}}
}

// read is a tensor of the case's file, on the CPU.
func (g *goldenCase) read(s *torch.Scope, name string) *torch.Tensor {
	g.t.Helper()
	return modeltest.Tensor(g.t, s, g.file, name)
}

// compare notes ‖got−want‖/‖want‖.
func (g *goldenCase) compare(kind, name string, got *torch.Tensor) {
	g.t.Helper()
	s := got.Scope()
	mark := s.Mark()
	defer s.Release(mark)
	want := g.read(s, name).ToDType(torch.Float64)
	got = got.To(torch.CPU).ToDType(torch.Float64)
	require.Equal(g.t, want.Shape(), got.Shape(), name)
	d := got.Sub(want).Norm().Item() / math.Max(want.Norm().Item(), 1e-30)
	g.worst[kind] = math.Max(g.worst[kind], d)
}

func (g *goldenCase) watch() *watcher {
	return &watcher{
		input: func(x *torch.Tensor) { g.compare("input", "net_input", x) },
		levels: func(levels []*torch.Tensor) {
			for i, l := range levels {
				g.compare("features", fmt.Sprintf("backbone.p%d", i+2), l)
			}
		},
		masks: func(f *torch.Tensor) { g.compare("mask features", "mask_feat", f) },
		decoded: func(step, tm int, boxes *torch.Tensor, stages []decoder.Output) {
			kind := "first step"
			if step > 0 {
				kind = "later steps"
			}
			s := boxes.Scope()
			mark := s.Mark()
			defer s.Release(mark)
			require.Equal(g.t, float64(tm), g.read(s, fmt.Sprintf("step%d.t", step)).Flatten(0, -1).Select(0, 0).Item())
			pick := func(f func(decoder.Output) *torch.Tensor) *torch.Tensor {
				var all []*torch.Tensor
				for _, o := range stages {
					all = append(all, f(o))
				}
				return torch.Stack(all, 0)
			}
			g.compare(kind+" boxes in", fmt.Sprintf("step%d.boxes_in_xyxy_abs", step), boxes)
			g.compare(kind+" logits", fmt.Sprintf("step%d.class_logits", step), pick(func(o decoder.Output) *torch.Tensor { return o.Logits }))
			g.compare(kind+" boxes", fmt.Sprintf("step%d.boxes_xyxy_abs", step), pick(func(o decoder.Output) *torch.Tensor { return o.Boxes }))
			g.compare(kind+" filters", fmt.Sprintf("step%d.filters", step), pick(func(o decoder.Output) *torch.Tensor { return o.Filters }))
		},
	}
}

// noise replays the case's draws: the initial state, then in turn the sampler's
// noise for the proposals that stayed and the fresh proposals behind them.
func (g *goldenCase) noise() sampler.Noise {
	call := 0
	return func(s *torch.Scope, shape []int) *torch.Tensor {
		z := g.read(s, fmt.Sprintf("noise.%02d", call))
		if missing := shape[1] - z.Size(1); missing > 0 {
			zeros := s.Zeros(torch.Options{DType: z.DType()}, shape[0], missing, shape[2])
			parts := []*torch.Tensor{z, zeros}
			if call%2 == 0 {
				parts = []*torch.Tensor{zeros, z}
			}
			z = torch.Cat(parts, 1)
		}
		call++
		return z
	}
}

func TestGolden(t *testing.T) {
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		modeltest.EachDevice(t, func(t *testing.T, device torch.Device) {
			g := openGolden(t, dir)
			for i, instances := range g.replay(device, PrecisionFloat32) {
				g.instances(i, instances)
			}
			g.judge(device)
		})
	})
}

// replay runs the case, compares what happens on the way, and returns what is found in each picture.
func (g *goldenCase) replay(device torch.Device, precision Precision) [][]Instance {
	t, dir, config := g.t, g.dir, g.config()
	before := torch.Live()
	model, err := LoadSource(context.Background(), modeltest.GoldenWeights(t, dir), LoadOptions{Config: &config, Device: device, Precision: precision})
	require.NoError(t, err)

	settings, err := Options{}.resolve(model.config)
	require.NoError(t, err)
	p := &pass{settings: settings, model: model, watch: g.watch(), alone: true}
	for i := 0; ; i++ {
		path := filepath.Join(dir, fmt.Sprintf("image%d.png", i))
		if _, err := os.Stat(path); err != nil {
			break
		}
		pixels, size := g.input(i, path)
		p.pixels = append(p.pixels, pixels)
		p.views = append(p.views, wholeView(size, pixels))
	}
	var found [][]Instance
	require.NoError(t, torch.Do(context.Background(), func(s *torch.Scope) error {
		found, err = p.run(context.Background(), s, g.noise())
		return err
	}))
	require.NoError(t, err)
	require.NoError(t, model.Close())
	require.Equal(t, before, torch.Live(), "tensors left behind")
	return found
}

func (g *goldenCase) config() Config {
	g.t.Helper()
	config, _, err := LoadConfig(filepath.Join(g.dir, "config.yaml"))
	require.NoError(g.t, err)
	config.Quirks = Reference
	if config.Backbone == nil {
		sizes := shapes{}
		for name, w := range modeltest.GoldenWeights(g.t, g.dir) {
			sizes[name] = checkpoint.Ints(w.Shape)
		}
		config.Backbone, err = inferBackbone(sizes)
		require.NoError(g.t, err)
	}
	return config
}

// input is a picture of the case as the network sees it, and its size.
func (g *goldenCase) input(i int, path string) (Pixels, image.Point) {
	f, err := os.Open(path)
	require.NoError(g.t, err)
	defer f.Close()
	var img image.Image
	img, err = png.Decode(f)
	require.NoError(g.t, err)
	resized, ok := g.file.Tensor(fmt.Sprintf("input%d.resized_hwc_u8", i))
	require.True(g.t, ok)
	rgb := make([]byte, resized.Elements())
	require.NoError(g.t, resized.ReadInto(rgb))
	return Pixels{RGB: rgb, Width: int(resized.Shape[1]), Height: int(resized.Shape[0])}, img.Bounds().Size()
}

// instances matches the final instances one to one with the reference's.
func (g *goldenCase) instances(i int, got []Instance) {
	g.t.Helper()
	require.NoError(g.t, torch.Do(context.Background(), func(s *torch.Scope) error {
		name := func(what string) string { return fmt.Sprintf("out%d.%s", i, what) }
		boxes := torch.Values[float32](g.read(s, name("boxes_xyxy")))
		scores := torch.Values[float32](g.read(s, name("scores")))
		classes := torch.Values[int64](g.read(s, name("classes")))
		shape := torch.Values[int64](g.read(s, name("mask_shape")))
		packed := torch.Values[uint8](g.read(s, name("masks_packed")))
		want := len(scores)
		g.worst["missing instances"] += math.Abs(float64(want - len(got)))
		g.worst["instances"] += float64(want)
		used := make([]bool, len(got))
		for k := range want {
			best, at := math.Inf(1), -1
			for j, in := range got {
				if used[j] || int64(in.Class) != classes[k] || math.Abs(float64(in.Score-scores[k])) > 10*scoreTolerance {
					continue
				}
				d := 0.0
				for c, v := range []float32{in.Box.X1, in.Box.Y1, in.Box.X2, in.Box.Y2} {
					d = math.Max(d, math.Abs(float64(v-boxes[4*k+c])))
				}
				if d < best {
					best, at = d, j
				}
			}
			if at < 0 || best > 10 {
				g.worst["unmatched instances"]++
				continue
			}
			used[at] = true
			in := got[at]
			g.worst["final boxes [px]"] = math.Max(g.worst["final boxes [px]"], best)
			g.worst["final scores"] = math.Max(g.worst["final scores"], math.Abs(float64(in.Score-scores[k])))
			iou := maskIoU(in.Mask, packed[k*len(packed)/want:], int(shape[1]), int(shape[2]))
			g.worst["1 − mask IoU"] = math.Max(g.worst["1 − mask IoU"], 1-iou)
		}
		return nil
	}))
}

// maskIoU compares with a mask whose pixels are packed eight a byte along each row.
func maskIoU(got *mask.Bitmap, packed []uint8, h, w int) float64 {
	row := (w + 7) / 8
	both, either := 0, 0
	for y := range h {
		for x := range w {
			a, b := got.Get(x, y), packed[y*row+x/8]>>(x%8)&1 == 1
			if a && b {
				both++
			}
			if a || b {
				either++
			}
		}
	}
	if either == 0 {
		return 1
	}
	return float64(both) / float64(either)
}

// judge prints the worst error of each kind and holds it against the tolerance.
func (g *goldenCase) judge(device torch.Device) {
	exact := strings.HasPrefix(torch.Version(), "1.13") && !device.IsCUDA()
	features := featureTolerance
	if device.IsCUDA() {
		features = 1e-3
	}
	limits := []struct {
		kind  string
		limit float64
	}{
		{"input", 1e-6}, {"features", features}, {"mask features", features},
		{"first step boxes in", stageTolerance}, {"first step logits", stageTolerance}, {"first step boxes", stageTolerance}, {"first step filters", stageTolerance},
	}
	if exact {
		limits = append(limits, []struct {
			kind  string
			limit float64
		}{
			{"missing instances", 0}, {"unmatched instances", 0}, {"final boxes [px]", boxTolerance}, {"final scores", scoreTolerance}, {"1 − mask IoU", 1 - maskTolerance},
		}...)
	} else {
		limits = append(limits, struct {
			kind  string
			limit float64
		}{"unmatched instances", 0.02 * g.worst["instances"]})
	}
	for _, l := range limits {
		g.t.Logf("%-22s %.3g (limit %.3g)", l.kind, g.worst[l.kind], l.limit)
		require.LessOrEqual(g.t, g.worst[l.kind], l.limit, l.kind)
	}
	for _, kind := range []string{"later steps logits", "later steps boxes", "later steps filters", "instances"} {
		if v, ok := g.worst[kind]; ok {
			g.t.Logf("%-22s %.3g", kind, v)
		}
	}
}
