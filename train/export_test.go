package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"image"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/proctest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/sampler"
	"github.com/diffusioninst/go/torch"
)

// segment is what a model finds on the picture that it was trained on, everything.
func segment(t *testing.T, m *diffusioninst.Model) *diffusioninst.Result {
	t.Helper()
	p := pictures(2)[0]
	img := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(img.Pix[4*i:], append(slices.Clone(p.RGB[3*i:3*i+3]), 255))
	}
	r, err := m.Segment(context.Background(), img, diffusioninst.Options{Score: -1})
	require.NoError(t, err)
	require.NotEmpty(t, r.Instances)
	return r
}

// unusual has settings that no parameter tells.
func unusual(c diffusioninst.Config) diffusioninst.Config {
	c.Classes = []string{"nucleus", "debris"}
	c.Proposals = 9
	c.NMS = 0.75
	c.Decoder.Heads, c.Decoder.Bins, c.Decoder.Samples = 4, 5, 1
	c.Input = diffusioninst.Input{Short: 64, Longest: 96, Mean: [3]float64{30, 40, 50}, Std: [3]float64{60, 60, 60}, BGR: true}
	c.Sampling = sampler.Config{Sampler: sampler.Heun{}, Grid: sampler.QuadraticGrid{}, Steps: 2, Renewal: sampler.NoRenewal{}, Schedule: sampler.Sigmoid(500)}
	return c
}

func TestExportsLoadAsSnapshots(t *testing.T) {
	for name, c := range map[string]struct {
		config  diffusioninst.Config
		options Options
	}{
		"frozen norms": {unusual(small(2)), Options{}},
		"averages":     {unusual(batchNormed()), Options{EMA: 0.5, Frozen: []string{}}},
		"Swin":         {unusual(randomlyDeep()), Options{EMA: 0.5}},
		"float64":      {unusual(small(2)), Options{Float64: true}},
		"coordinates":  {unusual(relative(small(2))), Options{}},
		"conditioning": {unusual(conditioned(small(2))), Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			c.options.Rate, c.options.Schedule = 1e-2, nn.ConstantRate{}
			tr := newTrainer(t, c.config, c.options)
			steps(t, tr, 2)
			snapshot, err := tr.Snapshot(ctx)
			require.NoError(t, err)
			defer snapshot.Close()
			want := segment(t, snapshot)
			for _, file := range []string{"model.safetensors", "model.pth"} {
				path := filepath.Join(t.TempDir(), file)
				require.NoError(t, tr.Export(ctx, path, ExportOptions{}))
				m, err := diffusioninst.Load(ctx, path, diffusioninst.LoadOptions{})
				require.NoError(t, err)
				require.Empty(t, cmp.Diff(snapshot.Config(), m.Config(), cmpopts.IgnoreFields(diffusioninst.Config{}, "Backbone", "MaskBranch", "MaskHead")), file)
				require.Equal(t, want, segment(t, m), "%s: bit for bit", file)
				require.NoError(t, m.Close())

				require.NoError(t, tr.Export(ctx, path, ExportOptions{Half: true}))
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				m, err = diffusioninst.LoadFrom(ctx, bytes.NewReader(data), int64(len(data)), diffusioninst.LoadOptions{})
				require.NoError(t, err)
				require.Equal(t, snapshot.Parameters(), m.Parameters())
				require.NotEqual(t, want, segment(t, m), "rounded")
				require.NoError(t, m.Close())
			}
			if tr.average != nil {
				path := filepath.Join(t.TempDir(), "current.safetensors")
				require.NoError(t, tr.Export(ctx, path, ExportOptions{Current: true}))
				m, err := diffusioninst.Load(ctx, path, diffusioninst.LoadOptions{})
				require.NoError(t, err)
				require.NotEqual(t, want, segment(t, m), "these are not the averages")
				require.NoError(t, m.Close())
			}
			steps(t, tr, 1)
			require.Equal(t, want, segment(t, snapshot), "training goes on without it")
		})
	}
}

func TestHalfKeepsWhatItCannotHold(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "half.safetensors")
	tr := newTrainer(t, small(2), Options{})
	set := func(name string, value float64) {
		for _, p := range tr.store.Parameters() {
			if p.Name == name {
				require.NoError(t, torch.Do(ctx, func(s *torch.Scope) error {
					s.Adopt(p.Tensor).Detach().FillInPlace(value)
					return nil
				}))
				return
			}
		}
		t.Fatal(name)
	}
	set("head.mask_refine.0.1.running_var", 1e-9)
	require.NoError(t, tr.Export(ctx, path, ExportOptions{Half: true}))
	f, err := checkpoint.Open(path)
	require.NoError(t, err)
	defer f.Close()
	for _, p := range f.Tensors {
		want := map[bool]checkpoint.DType{true: checkpoint.Float16, false: checkpoint.Float32}[len(p.Shape) > 1]
		if strings.HasSuffix(p.Name, ".num_batches_tracked") {
			want = checkpoint.Int64
		}
		require.Equal(t, want, p.DType, p.Name)
	}
	variance, ok := f.Tensor("head.mask_refine.0.1.running_var")
	require.True(t, ok)
	values, err := variance.Float32s()
	require.NoError(t, err)
	require.Equal(t, float32(1e-9), values[0])

	before, err := os.ReadFile(path)
	require.NoError(t, err)
	set("head.head_series.0.linear1.weight", 1e6)
	err = tr.Export(ctx, path, ExportOptions{Half: true})
	require.ErrorIs(t, err, nn.ErrNotFinite)
	require.ErrorContains(t, err, "head.head_series.0.linear1.weight")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "the export before is intact")
	require.ErrorContains(t, tr.Export(ctx, path+".onnx", ExportOptions{}), ".safetensors or .pth")
}

// TestPyTorchReadsExports gives exports to PyTorch itself, where a Python has it.
func TestPyTorchReadsExports(t *testing.T) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if python == "" && proctest.Command(t, p, "-I", "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)").Run() == nil {
			python = p
		}
	}
	if python == "" {
		t.Skip("no Python with torch")
	}
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "model.pth")
	tr := newTrainer(t, batchNormed(), Options{Frozen: []string{}})
	steps(t, tr, 3)
	require.NoError(t, tr.Export(ctx, path, ExportOptions{}))
	out, err := proctest.Command(t, python, "-I", filepath.Join("..", "internal", "checkpoint", "testdata", "load.py"), path).Output()
	require.NoError(t, err)
	var found struct{ Tensors [][4]any }
	require.NoError(t, json.Unmarshal(out, &found))
	got := map[string][4]any{}
	for _, p := range found.Tensors {
		got[p[0].(string)] = p
	}
	row := func(name, dtype string, shape []int, data []byte) [4]any {
		sum := sha256.Sum256(data)
		list := []any{}
		for _, d := range shape {
			list = append(list, float64(d))
		}
		return [4]any{name, dtype, list, hex.EncodeToString(sum[:])}
	}
	require.NoError(t, torch.Do(ctx, func(s *torch.Scope) error {
		for _, p := range tr.store.Parameters() {
			require.Equal(t, row(p.Name, "float32", p.Tensor.Shape(), s.Adopt(p.Tensor).Detach().Bytes()), got[p.Name])
		}
		return nil
	}))
	counted := 0
	for _, n := range tr.store.Norms() {
		if n.Kind == nn.BatchNorm {
			name := n.Name + ".num_batches_tracked"
			require.Equal(t, row(name, "int64", nil, []byte{3, 0, 0, 0, 0, 0, 0, 0}), got[name])
			counted++
		}
	}
	require.Greater(t, counted, 20, "of the backbone and of the mask branch")
	require.Len(t, found.Tensors, len(tr.store.Parameters())+counted+12)
}

// An export of the official project's file is that file.
func TestExportIsTheOfficialFile(t *testing.T) {
	ran := false
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		official := filepath.Join(dir, "model.pth")
		if _, err := os.Stat(official); err != nil {
			t.Skip("the case has no checkpoint")
		}
		ran = true
		want, err := checkpoint.Open(official)
		require.NoError(t, err)
		defer want.Close()
		c, _, err := diffusioninst.LoadConfig(filepath.Join(dir, "config.yaml"))
		require.NoError(t, err)
		start, err := nn.OpenCheckpoint(official)
		require.NoError(t, err)
		defer start.Close()
		tr, err := New(context.Background(), c, start.Source(), torch.CPU, Options{})
		require.NoError(t, err)
		defer tr.Close()
		path := filepath.Join(t.TempDir(), "model.pth")
		require.NoError(t, tr.Export(context.Background(), path, ExportOptions{}))
		got, err := checkpoint.Open(path)
		require.NoError(t, err)
		defer got.Close()
		require.Len(t, got.Tensors, len(want.Tensors))
		for _, w := range want.Tensors {
			g, ok := got.Tensor(w.Name)
			require.True(t, ok, w.Name)
			require.Equal(t, w.DType, g.DType, w.Name)
			require.Equal(t, append([]int64{}, w.Shape...), append([]int64{}, g.Shape...), w.Name)
			a, b := raw(t, w), raw(t, g)
			if w.DType != checkpoint.Float64 {
				require.True(t, bytes.Equal(a, b), w.Name)
				continue
			}
			for i := range len(a) / 8 {
				x, y := float64Of(a[8*i:]), float64Of(b[8*i:])
				require.InDelta(t, x, y, 1e-9*max(math.Abs(x), 1e-3), "%s at %d", w.Name, i)
			}
		}
	})
	if !ran {
		t.Skip("no case has a checkpoint")
	}
}

func TestPositionIndex(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, positionIndex("i", 2).WriteTo(&b))
	var rows []byte
	for i := 0; i < b.Len(); i += 8 {
		rows = append(rows, b.Bytes()[i])
	}
	require.Equal(t, []byte{4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4}, rows, "as in the Swin Transformer's own code")
}

func raw(t *testing.T, p *checkpoint.Tensor) []byte {
	t.Helper()
	data := make([]byte, p.Elements()*int64(p.DType.Size()))
	require.NoError(t, p.ReadInto(data))
	return data
}

func float64Of(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }
