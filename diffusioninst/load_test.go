package diffusioninst

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/backbone"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/golden"
	"github.com/diffusioninst/go/internal/modeltest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func errorAs[E error](err error, target *E) bool { return errors.As(err, target) }

// save writes the weights of a committed golden case as a checkpoint, changed by
// edit, which may drop a tensor by returning nil.
func save(t *testing.T, edit func(name string, values []float32) []float32) string {
	t.Helper()
	var sources []checkpoint.Source
	for _, w := range golden.Weights(t, golden.Dir("mini_r50s_1step")) {
		values := w.Values()
		if edit != nil {
			if values = edit(w.Name, values); values == nil {
				continue
			}
		}
		shape := w.Shape
		if int64(len(values)) != elements(shape) {
			shape = []int64{int64(len(values))}
		}
		sources = append(sources, checkpoint.Source{Name: w.Name, DType: checkpoint.Float32, Shape: shape, WriteTo: func(out io.Writer) error {
			return binary.Write(out, binary.LittleEndian, values)
		}})
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, checkpoint.WriteSafetensors(f, sources, nil))
	require.NoError(t, f.Close())
	return path
}

func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

func TestLoadReadsTheSizesOffTheCheckpoint(t *testing.T) {
	before := torch.Live()
	path := save(t, nil)
	c, err := Infer(path)
	require.NoError(t, err)
	want, _, err := LoadConfig(filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml"))
	require.NoError(t, err)
	require.Equal(t, want.Backbone.(backbone.ResNetFPN).Channels, c.Backbone.(backbone.ResNetFPN).Channels)
	require.Equal(t, 50, c.Backbone.(backbone.ResNetFPN).ResNet.Depth)
	require.Equal(t, want.Classes, c.Classes)
	require.Equal(t, want.Decoder.Dynamic, c.Decoder.Dynamic)
	require.Equal(t, want.Decoder.Stages, c.Decoder.Stages)

	m, err := Load(context.Background(), path, LoadOptions{})
	require.NoError(t, err)
	r, err := m.Segment(context.Background(), pattern(64, 64), Options{Score: -1, Proposals: 10})
	require.NoError(t, err)
	require.NotNil(t, r)
	require.NoError(t, m.Close())
	require.Equal(t, before, torch.Live())
}

func TestLoadReportsAllThatDoesNotFit(t *testing.T) {
	before := torch.Live()
	config, _, err := LoadConfig(filepath.Join(golden.Dir("mini_r50s_1step"), "config.yaml"))
	require.NoError(t, err)
	path := save(t, func(name string, v []float32) []float32 {
		switch name {
		case "head.time_mlp.1.bias":
			return nil
		case "head.time_mlp.3.bias":
			return v[:5]
		case "backbone.fpn_lateral2.bias":
			v[3] = float32(math.NaN())
		}
		return v
	})
	_, err = Load(context.Background(), path, LoadOptions{Config: &config})
	var e *LoadError
	require.ErrorAs(t, err, &e)
	require.Equal(t, path, e.Path)
	require.True(t, strings.HasPrefix(err.Error(), "nn: "+path+": the parameters do not fit the model: 1 missing"), err)
	require.Equal(t, []string{"head.time_mlp.1.bias"}, e.Missing)
	require.Equal(t, "head.time_mlp.3.bias", e.Mismatched[0].Name)
	require.ErrorIs(t, err, nn.ErrNotFinite)

	// Another architecture altogether.
	other := small()
	_, err = Load(context.Background(), save(t, nil), LoadOptions{Config: &other})
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Unexpected)
	require.Equal(t, before, torch.Live(), "tensors left behind")
}

func TestLoadRefusesBadFiles(t *testing.T) {
	before := torch.Live()
	good, err := os.ReadFile(save(t, nil))
	require.NoError(t, err)
	write := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	for name, path := range map[string]string{
		"missing":          filepath.Join(t.TempDir(), "nothing.pth"),
		"empty":            write(nil),
		"truncated":        write(good[:len(good)/2]),
		"not a checkpoint": write([]byte("\x89PNG\r\n\x1a\nand so on, for as long as one likes to read it")),
		"without a model":  write([]byte("\x08\x00\x00\x00\x00\x00\x00\x00{}      ")),
	} {
		_, err := Load(context.Background(), path, LoadOptions{})
		var e *LoadError
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, path, e.Path)
		require.Equal(t, 1, strings.Count(err.Error(), path), err)
		require.Equal(t, 1, strings.Count(err.Error(), "nn: "), err)
	}
	// A configuration that the file's parameters contradict.
	_, err = Load(context.Background(), save(t, nil), LoadOptions{Config: &Config{Proposals: -1, Classes: []string{"one"}}})
	var bad *ConfigError
	require.ErrorAs(t, err, &bad)
	require.NotContains(t, err.Error(), "diffusioninst: ")

	_, err = Load(context.Background(), filepath.Join(t.TempDir(), "nothing.pth"), LoadOptions{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, before, torch.Live())
}

func TestNewRefusesWhatCannotBe(t *testing.T) {
	before := torch.Live()
	_, err := New(context.Background(), small(), 1, torch.CUDA(99))
	var de *torch.DeviceError
	require.ErrorAs(t, err, &de)
	for name, change := range map[string]func(*Config){
		"no backbone":      func(c *Config) { c.Backbone = nil },
		"no classes":       func(c *Config) { c.Classes = nil },
		"no proposals":     func(c *Config) { c.Proposals = -1 },
		"odd heads":        func(c *Config) { c.Decoder.Heads = 3 },
		"unequal channels": func(c *Config) { c.Decoder.Hidden = 32 },
		"unknown depth":    func(c *Config) { c.Backbone = backbone.ResNetFPN{ResNet: backbone.ResNet{Depth: 51}} },
		"negative steps":   func(c *Config) { c.Sampling.Steps = -1 },
		"no deviation":     func(c *Config) { c.Input.Std = [3]float64{1, 0, 1} },
		"sides swapped":    func(c *Config) { c.Input.Short, c.Input.Longest = 900, 800 },
		"scale and side":   func(c *Config) { c.Input = Input{Short: 800, Scale: 1} },
		"an absurd zoom":   func(c *Config) { c.Input = Input{Scale: 100} },
		"a negative scale": func(c *Config) { c.SignalScale = -2 },
		"an absurd NMS":    func(c *Config) { c.NMS = 2 },
		"unknown quirks":   func(c *Config) { c.Quirks = 7 },
		"no step counts":   func(c *Config) { c.Quirks, c.Ensemble.LastOnly = Reference, true },
		"many proposals":   func(c *Config) { c.Proposals = maxProposals + 1 },
		"an odd range":     func(c *Config) { c.FilterRange = math.NaN() },
		"placed filters":   func(c *Config) { c.MaskHead.Coordinates, c.FilterRange = true, 5 },
		"an odd prior":     func(c *Config) { c.SizePrior.Mean = 0.5 },
		"negative bins":    func(c *Config) { c.Decoder.Bins = -1 },
		"negative layers":  func(c *Config) { c.MaskHead.Layers = -1 },
	} {
		c := small()
		change(&c)
		_, err := New(context.Background(), c, 1, torch.CPU)
		require.Error(t, err, name)
		if name != "unequal channels" && name != "unknown depth" { // found while building
			_, err = c.WithDefaults()
			var bad *ConfigError
			require.ErrorAs(t, err, &bad, name)
		}
	}
	require.Equal(t, before, torch.Live())
}

func TestPaperModelsCanBeConfigured(t *testing.T) {
	for classes, c := range map[int]Config{80: ResNet50COCO(), 1203: ResNet50LVIS()} {
		full, err := c.WithDefaults()
		require.NoError(t, err)
		require.Len(t, full.Classes, classes)
		require.Equal(t, 500, full.Proposals)
		require.Equal(t, 6, full.Decoder.Stages)
		require.Equal(t, 153, full.Decoder.FilterParams)
	}
}

// The checkpoint file as users have it must hold the very values that weights.json computes.
func TestCheckpointFileEqualsComputedWeights(t *testing.T) {
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "model.pth")
		if _, err := os.Stat(path); err != nil {
			t.Skip("this case has no model.pth")
		}
		config, _, err := LoadConfig(filepath.Join(dir, "config.yaml"))
		require.NoError(t, err)
		m, err := Load(context.Background(), path, LoadOptions{Config: &config})
		require.NoError(t, err)
		defer m.Close()
		want, err := NewFrom(context.Background(), config, modeltest.GoldenWeights(t, dir), torch.CPU)
		require.NoError(t, err)
		defer want.Close()
		have, expected := m.store.Parameters(), want.store.Parameters()
		require.Equal(t, len(expected), len(have))
		require.Equal(t, m.Parameters(), want.Parameters())
		for i := range have {
			require.Equal(t, expected[i].Name, have[i].Name)
			require.Equal(t, expected[i].Tensor.Bytes(), have[i].Tensor.Bytes(), have[i].Name)
		}
	})
}
