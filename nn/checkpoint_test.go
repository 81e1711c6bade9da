package nn_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/modeltest"
	pt "github.com/diffusioninst/go/internal/pickletest"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

func TestCheckpointTellsWhatIsInIt(t *testing.T) {
	f := file(t, map[string][]float32{"a": {1, 2, 3, 4}, "b": {5}}, map[string][]int{"a": {2, 2}, "b": {}})
	require.Equal(t, []string{"a", "b"}, f.Names())
	require.Equal(t, []int{2, 2}, f.Shape("a"))
	require.Equal(t, []int{}, f.Shape("b"))
	require.Nil(t, f.Shape("c"))
	require.Equal(t, map[string]string{"note": "of a test"}, f.Metadata())
	require.Empty(t, f.Path())
	require.NoError(t, f.Close())
}

func TestCheckpointIsRefused(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for _, c := range []struct {
		path string
		want error
		says string
	}{
		{filepath.Join(t.TempDir(), "none"), fs.ErrNotExist, "no such file or directory"},
		{t.TempDir(), nn.ErrNotCheckpoint, "not a checkpoint: it is a directory"},
		{write("\x89PNG\r\n\x1a\n and more"), nn.ErrNotCheckpoint, "not a checkpoint: "},
		{write("\x40\x00\x00\x00\x00\x00\x00\x00{"), nn.ErrCorrupt, "safetensors: "},
		{"../internal/checkpoint/testdata/evil.pkl", nn.ErrForbidden, "pickle"},
	} {
		_, err := nn.OpenCheckpoint(c.path)
		var e *nn.LoadError
		require.ErrorAs(t, err, &e)
		require.Equal(t, c.path, e.Path)
		require.ErrorIs(t, err, c.want)
		require.True(t, strings.HasPrefix(err.Error(), "nn: "+c.path+": "), err)
		require.Contains(t, err.Error(), c.says)
		require.Equal(t, 1, strings.Count(err.Error(), c.path), err)
		require.NotContains(t, err.Error(), "checkpoint: "+c.path)
	}
	_, err := nn.ReadCheckpoint(strings.NewReader("no"), 2)
	require.ErrorIs(t, err, nn.ErrNotCheckpoint)
	require.True(t, strings.HasPrefix(err.Error(), "nn: not a checkpoint"), err)
}

func TestLoadErrorNamesTheFileAndKeepsAllCauses(t *testing.T) {
	modeltest.Do(t, func(s *torch.Scope) {
		f, err := nn.OpenCheckpoint("../internal/checkpoint/testdata/plain.pth")
		require.NoError(t, err)
		source := f.Source()
		require.NoError(t, f.Close())
		st := nn.NewStore(source, nn.StoreOptions{})
		defer st.Close()
		st.Root().Parameter("plain", nn.Constant(0), 4, 6)
		st.Root().Parameter("other", nn.Constant(0), 1)
		err = st.Err()
		require.ErrorIs(t, err, fs.ErrClosed)
		require.True(t, strings.HasPrefix(err.Error(), "nn: ../internal/checkpoint/testdata/plain.pth: the parameters do not fit"), err)
		require.ErrorContains(t, err, "missing     other")
		require.ErrorContains(t, err, "unusable    plain: ")
	})
	cause := errors.New("a cause")
	both := &nn.LoadError{Err: cause, Broken: []error{nn.ErrNotFinite}}
	require.ErrorIs(t, both, cause)
	require.ErrorIs(t, both, nn.ErrNotFinite)
	for path, of := range map[string]bool{"a/model-00001-of-00002.safetensors": true, "m-1-of-10.bin": true, "model-00001-of-00001.safetensors": false, "model.pth": false} {
		err := &nn.LoadError{Path: path, Missing: []string{"x"}}
		require.Equal(t, of, strings.Contains(err.Error(), "(shards): merge them"), path)
	}
}

func TestFit(t *testing.T) {
	f := file(t, map[string][]float32{"conv.weight": {1, 2}, "fc.weight": {3}, "left": {1}, "pixel_mean": {1}},
		map[string][]int{"conv.weight": {2}, "fc.weight": {1}, "left": {1}, "pixel_mean": {1}})
	before := torch.Live()
	fit, err := f.Fit(t.Context(), 5, func(p nn.Path) error {
		p.Sub("net", "conv").Parameter("weight", nn.Normal(1), 2)
		p.Sub("net", "fc").Parameter("weight", nn.Normal(1), 4)
		p.Sub("net", "fc").Buffer("mean", nn.Constant(2), 1)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, before, torch.Live())
	require.Equal(t, []string{"net.conv.weight"}, fit.Taken)
	require.Equal(t, []string{"net.fc.weight", "net.fc.mean"}, fit.Drawn)
	require.Equal(t, []nn.Mismatch{{Name: "net.fc.weight", Want: []int{4}, Have: []int{1}}}, fit.Reshaped)
	require.Equal(t, []string{"left"}, fit.Unused)
	require.Nil(t, fit.Names())
	require.Equal(t, "1 of the model's 3 parameters come from the checkpoint; random: net.fc.*"+
		"\n  net.fc.weight has shape [4] here, but [1] in the file"+
		"\n  tensors of the file that are not used: left", fit.String())
	modeltest.Do(t, func(s *torch.Scope) {
		st := nn.NewStore(fit, nn.StoreOptions{})
		defer st.Close()
		seeded := nn.NewStore(nn.FromSeed(5), nn.StoreOptions{})
		defer seeded.Close()
		require.Equal(t, []float32{1, 2}, torch.Values[float32](st.Root().Sub("net", "conv").Parameter("weight", nn.Normal(1), 2)))
		require.Equal(t, torch.Values[float32](seeded.Root().Sub("net", "fc").Parameter("weight", nn.Normal(1), 4)),
			torch.Values[float32](st.Root().Sub("net", "fc").Parameter("weight", nn.Normal(1), 4)), "of another shape: drawn")
		require.NoError(t, st.Err())
		wrong := nn.NewStore(fit, nn.StoreOptions{})
		defer wrong.Close()
		wrong.Root().Sub("net", "conv").Parameter("weight", nn.Normal(1), 3)
		var e *nn.LoadError
		require.ErrorAs(t, wrong.Err(), &e)
		require.Len(t, e.Mismatched, 1)
	})
}

func TestFitRefuses(t *testing.T) {
	f := file(t, map[string][]float32{"fc.weight": {3}}, map[string][]int{"fc.weight": {1}})
	one := func(names ...string) func(nn.Path) error {
		return func(p nn.Path) error {
			for _, name := range names {
				p.Sub(name).Parameter("weight", nn.Normal(1), 1)
			}
			return nil
		}
	}
	var e *nn.LoadError
	_, err := f.Fit(t.Context(), 1, one("conv"))
	require.ErrorAs(t, err, &e)
	require.EqualError(t, err, "nn: none of its 1 tensors is one of the model's 1 parameters")
	_, err = f.Fit(t.Context(), 1, one("a.fc", "b.fc"))
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, nn.ErrAmbiguous)
	cause := errors.New("no such model")
	_, err = f.Fit(t.Context(), 1, func(nn.Path) error { return cause })
	require.Equal(t, cause, err)
}

// pth returns a checkpoint of torch.save's form.
func pth(t *testing.T, root any) *nn.Checkpoint {
	t.Helper()
	data := pt.PTH(root)
	c, err := nn.ReadCheckpoint(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	return c
}

// Source and Fit find the weights of a user's model whatever wraps them.
func TestWrappedCheckpoints(t *testing.T) {
	net := func(prefix string, value float32) pt.Dict {
		one := pt.Tensor{Shape: []int{1}, Values: []float32{value}}
		return pt.Dict{{prefix + "fc.weight", one}, {prefix + "fc.bias", one}}
	}
	build := func(p nn.Path) error {
		p.Sub("fc").Parameter("weight", nn.Normal(1), 1)
		p.Sub("fc").Parameter("bias", nn.Normal(1), 1)
		return nil
	}
	for name, root := range map[string]any{
		"module":            pt.Dict{{"model", net("module.", 1)}},
		"torch.compile":     net("_orig_mod.", 1),
		"Lightning":         pt.Dict{{"state_dict", net("model.net.", 1)}, {"epoch", 3}},
		"beside averages":   pt.Dict{{"model", net("", 1)}, {"ema_state", net("", 2)}},
		"averages are left": append(net("", 1), net("model_ema.module.", 2)...),
	} {
		c := pth(t, root)
		fit, err := c.Fit(t.Context(), 1, build)
		require.NoError(t, err, name)
		require.Len(t, fit.Taken, 2, name)
		modeltest.Do(t, func(*torch.Scope) {
			st := nn.NewStore(fit, nn.StoreOptions{})
			defer st.Close()
			require.NoError(t, build(st.Root()))
			require.Equal(t, []float32{1}, torch.Values[float32](st.Parameters()[0].Tensor), name)
		})
		if name == "averages are left" {
			continue // which a Source reports
		}
		modeltest.Do(t, func(*torch.Scope) {
			st := nn.NewStore(c.Source(), nn.StoreOptions{})
			defer st.Close()
			require.NoError(t, build(st.Root()))
			require.NoError(t, st.Err(), name)
			require.Equal(t, []float32{1}, torch.Values[float32](st.Parameters()[1].Tensor), name)
		})
	}
	c, err := pth(t, pt.Dict{{"model", net("", 1)}, {"ema_state", net("", 2)}}).Weights(nn.EMAOn, false)
	require.NoError(t, err)
	fit, err := c.Fit(t.Context(), 1, build)
	require.NoError(t, err)
	require.Equal(t, []nn.WeightSet{{Name: "ema_state", Averaged: true, Tensors: 2}, {Name: "model", Tensors: 2}}, fit.Sets)
	var e *nn.LoadError
	_, err = pth(t, pt.Dict{{"model", net("", 1)}}).Weights(nn.EMAOn, false)
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, nn.ErrNoAverage)
	_, err = c.Weights(2, false)
	require.ErrorAs(t, err, &e)
}

// What cannot be read is an error where it is needed, with advice.
func TestWeightsThatAreObjects(t *testing.T) {
	one := pt.Tensor{Shape: []int{1}, Values: []float32{1}}
	c := pth(t, pt.Dict{{"model", pt.Dict{{"a", one}, {"b", pt.Object{Class: "mine.Tensor"}}, {"c", pt.Object{Class: "torch._utils._rebuild_qtensor"}}}}})
	require.ErrorIs(t, c.Why("b"), nn.ErrForbidden)
	modeltest.Do(t, func(*torch.Scope) {
		st := nn.NewStore(c.Source(), nn.StoreOptions{})
		defer st.Close()
		st.Root().Parameter("a", nn.Normal(1), 1)
		require.NoError(t, st.Err(), "nobody asked for b and c")
		st.Root().Parameter("b", nn.Normal(1), 1)
		st.Root().Parameter("c", nn.Normal(1), 1)
		err := st.Err()
		require.ErrorIs(t, err, nn.ErrForbidden)
		require.ErrorIs(t, err, nn.ErrUnsupported)
		require.ErrorContains(t, err, "mine.Tensor")
		require.ErrorContains(t, err, "torch.save(")
		require.ErrorContains(t, err, "quantised")
	})
	fit, err := c.Fit(t.Context(), 1, func(p nn.Path) error {
		p.Parameter("a", nn.Normal(1), 1)
		p.Parameter("b", nn.Normal(1), 1)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, fit.Drawn)
	require.Contains(t, fit.String(), "mine.Tensor")
}
