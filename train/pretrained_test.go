package train

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/diffusioninst"
	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nn"
	"github.com/diffusioninst/go/torch"
)

// inTorchvision names a parameter of a backbone as torchvision does.
func inTorchvision(name string) string {
	name = strings.TrimPrefix(name, "stem.")
	return strings.NewReplacer(
		"res2.", "layer1.", "res3.", "layer2.", "res4.", "layer3.", "res5.", "layer4.",
		"conv1.norm.", "bn1.", "conv2.norm.", "bn2.", "shortcut.norm.", "downsample.1.", "shortcut.", "downsample.0.",
	).Replace(name)
}

// inCaffe2 names one as MSRA's files do, which have no statistics: "" for those.
func inCaffe2(name string) string {
	if strings.Contains(name, "running") {
		return ""
	}
	name = strings.TrimPrefix(name, "stem.")
	if name == "conv1.norm.weight" || name == "conv1.norm.bias" {
		name = "res." + name
	}
	return strings.NewReplacer(
		"res.conv1", "res_conv1", ".norm.weight", "_bn_s", ".norm.bias", "_bn_b", ".weight", "_w", ".bias", "_b",
		".conv1", "_branch2a", ".conv2", "_branch2b", ".shortcut", "_branch1", ".", "_",
	).Replace(name)
}

func asItIs(name string) string { return name }

// backboneFile writes the backbone of a trainer under other names, with some that no
// detector has.
func backboneFile(t *testing.T, tr *Trainer, rename func(string) string, more ...string) string {
	t.Helper()
	var sources []checkpoint.Source
	for _, p := range tr.store.Parameters() {
		if name, ok := strings.CutPrefix(p.Name, "backbone.bottom_up."); ok && rename(name) != "" {
			s := converted(context.Background(), p, torch.Float32)
			s.Name = rename(name)
			sources = append(sources, s)
		}
	}
	for _, name := range more {
		sources = append(sources, numbers(name, checkpoint.Float32, []int64{1}, []float32{7}))
	}
	path := filepath.Join(t.TempDir(), "backbone.pth")
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, checkpoint.WritePyTorch(f, sources, nil))
	require.NoError(t, f.Close())
	return path
}

// allValues are all parameters of a trainer.
func allValues(tr *Trainer) map[string][]float32 {
	out := map[string][]float32{}
	for _, p := range tr.store.Parameters() {
		out[p.Name] = torch.Values[float32](p.Tensor)
	}
	return out
}

// fromFile makes a trainer on top of a file.
func fromFile(t *testing.T, path string, c diffusioninst.Config, seed uint64) (*Trainer, *Pretrained) {
	t.Helper()
	ctx := context.Background()
	live := torch.Live()
	p, err := OpenPretrained(ctx, path, c, seed)
	require.NoError(t, err)
	require.Equal(t, live, torch.Live())
	tr, err := New(ctx, c, p, torch.CPU, Options{})
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	require.NoError(t, p.Close())
	return tr, p
}

func TestImageNetBackbones(t *testing.T) {
	swin := randomlyDeep()
	for name, c := range map[string]struct {
		config diffusioninst.Config
		rename func(string) string
		more   []string
		drawn  string
		unused []string
	}{
		"torchvision": {small(2), inTorchvision, []string{"fc.weight", "fc.bias", "bn1.num_batches_tracked"}, "backbone.fpn", []string{"fc.weight", "fc.bias"}},
		"Detectron2":  {small(2), asItIs, []string{"stem.fc.weight"}, "backbone.fpn", []string{"stem.fc.weight"}},
		"Caffe2":      {small(2), inCaffe2, []string{"fc1000_w"}, "backbone.fpn", []string{"fc1000_w"}},
		"Swin": {swin, func(name string) string {
			if strings.HasPrefix(name, "norm") {
				return "" // of what only detectors have
			}
			return name
		}, []string{"head.weight", "norm.weight", "layers.0.blocks.1.attn_mask"}, "backbone.bottom_up.norm", []string{"head.weight", "norm.weight"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := torch.Live()
			t.Cleanup(func() { require.Equal(t, before, torch.Live()) })
			source := newTrainer(t, c.config, Options{})
			tr, p := fromFile(t, backboneFile(t, source, c.rename, c.more...), c.config, 9)
			fresh, err := New(context.Background(), c.config, nn.FromSeed(9), torch.CPU, Options{})
			require.NoError(t, err)
			defer fresh.Close()
			from, drawn := allValues(source), allValues(fresh)
			for name, got := range allValues(tr) {
				bottom := strings.HasPrefix(name, "backbone.bottom_up.") && !strings.HasPrefix(name, "backbone.bottom_up.norm")
				if bottom {
					require.Contains(t, p.Taken, name)
					require.Equal(t, from[name], got, name)
				} else {
					require.Contains(t, p.Drawn, name)
					require.Equal(t, drawn[name], got, name)
				}
			}
			require.Empty(t, p.Reshaped)
			require.Equal(t, c.unused, p.Unused)
			require.Contains(t, p.String(), "random: "+c.drawn)
			require.Contains(t, p.String(), "head.*")
			_, err = tr.Step(context.Background(), pictures(2))
			require.NoError(t, err)
		})
	}
}

func TestFineTuningForOtherClasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "three.pth")
	three := newTrainer(t, small(3), Options{})
	require.NoError(t, three.Export(context.Background(), path, ExportOptions{}))
	before := torch.Live()
	t.Cleanup(func() { require.Equal(t, before, torch.Live()) })
	tr, p := fromFile(t, path, small(2), 9)
	require.Equal(t, []nn.Mismatch{
		{Name: "head.head_series.0.class_logits.weight", Want: []int{2, 16}, Have: []int{3, 16}},
		{Name: "head.head_series.0.class_logits.bias", Want: []int{2}, Have: []int{3}},
		{Name: "head.head_series.1.class_logits.weight", Want: []int{2, 16}, Have: []int{3, 16}},
		{Name: "head.head_series.1.class_logits.bias", Want: []int{2}, Have: []int{3}},
	}, p.Reshaped)
	require.Len(t, p.Drawn, 4)
	require.Empty(t, p.Unused)
	require.Equal(t, "214 of the model's 218 parameters come from "+path+"; random: head.head_series.0.class_logits.*, head.head_series.1.class_logits.*"+
		"\n  head.head_series.0.class_logits.weight has shape [2 16] here, but [3 16] in the file"+
		"\n  head.head_series.0.class_logits.bias has shape [2] here, but [3] in the file"+
		"\n  head.head_series.1.class_logits.weight has shape [2 16] here, but [3 16] in the file"+
		"\n  head.head_series.1.class_logits.bias has shape [2] here, but [3] in the file", p.String())
	from, got := allValues(three), allValues(tr)
	for _, name := range p.Taken {
		require.Equal(t, from[name], got[name], name)
	}
	_, err := tr.Step(context.Background(), pictures(2))
	require.NoError(t, err)
}

func TestFilesThatAreNoStart(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	write := func(name string, sources ...checkpoint.Source) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, checkpoint.WriteSafetensors(f, sources, nil))
		require.NoError(t, f.Close())
		return path
	}
	tr := newTrainer(t, small(2), Options{})
	state := filepath.Join(dir, "state.safetensors")
	require.NoError(t, tr.Save(ctx, state, nil))
	one := func(name string, n int64) checkpoint.Source {
		return checkpoint.Source{Name: name, DType: checkpoint.Float32, Shape: []int64{n}, WriteTo: func(w io.Writer) error {
			return binary.Write(w, binary.LittleEndian, make([]float32, n))
		}}
	}
	for want, path := range map[string]string{
		"none of its 1 tensors is one of the model's 218 parameters": write("other", one("embedding", 4)),
		"fits two parameters":       write("twice", one("norm1.weight", 16)),
		"no such file or directory": filepath.Join(dir, "none"),
	} {
		live := torch.Live()
		_, err := OpenPretrained(ctx, path, small(2), 1)
		var e *diffusioninst.LoadError
		require.ErrorAs(t, err, &e, want)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		require.Equal(t, live, torch.Live())
	}
	found, err := OpenPretrained(ctx, state, small(2), 1)
	require.NoError(t, err, "of the state of a run its model")
	require.Empty(t, found.Drawn)
	require.Empty(t, found.Unused)
	require.NoError(t, found.Close())
	var e *diffusioninst.ConfigError
	_, err = OpenPretrained(ctx, state, diffusioninst.Config{}, 1)
	require.ErrorAs(t, err, &e)
}
