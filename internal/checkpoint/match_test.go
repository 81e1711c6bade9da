package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/golden"
)

// fileOf returns an open safetensors file with empty values.
func fileOf(t testing.TB, params []Param) *File {
	t.Helper()
	var sources []Source
	for _, p := range params {
		n, err := elements(p.Shape)
		require.NoError(t, err)
		sources = append(sources, Source{Name: p.Name, DType: Float32, Shape: p.Shape, WriteTo: func(w io.Writer) error {
			_, err := w.Write(make([]byte, 4*n))
			return err
		}})
	}
	var b bytes.Buffer
	require.NoError(t, WriteSafetensors(&b, sources, nil))
	f, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return f
}

// pairs returns model name ← file name.
func pairs(m map[string]*Tensor) map[string]string {
	out := map[string]string{}
	for name, t := range m {
		out[name] = t.Name
	}
	return out
}

// block is a convolution of a ResNet by its names here, in torchvision and in Caffe2.
type block struct{ ours, torchConv, torchNorm, caffeConv, caffeNorm string }

// resnet50 lists the convolutions of a ResNet-50.
func resnet50() []block {
	list := []block{{"stem.conv1", "conv1", "bn1", "conv1", "res_conv1_bn"}}
	for stage, blocks := range []int{3, 4, 6, 3} {
		for i := range blocks {
			ours := fmt.Sprintf("res%d.%d.", stage+2, i)
			torch := fmt.Sprintf("layer%d.%d.", stage+1, i)
			caffe := fmt.Sprintf("res%d_%d_", stage+2, i)
			for c, branch := range []string{"branch2a", "branch2b", "branch2c"} {
				list = append(list, block{
					fmt.Sprintf("%sconv%d", ours, c+1), fmt.Sprintf("%sconv%d", torch, c+1), fmt.Sprintf("%sbn%d", torch, c+1),
					caffe + branch, caffe + branch + "_bn",
				})
			}
			if i == 0 {
				list = append(list, block{ours + "shortcut", torch + "downsample.0", torch + "downsample.1", caffe + "branch1", caffe + "branch1_bn"})
			}
		}
	}
	return list
}

var normParts = []string{"weight", "bias", "running_mean", "running_var"}

// TestMatchResNet50 brings each convention's complete list of names to the model's.
func TestMatchResNet50(t *testing.T) {
	const prefix = "backbone.bottom_up."
	var model, torch, caffe, converted []Param
	wantTorch, wantCaffe, wantConverted := map[string]string{}, map[string]string{}, map[string]string{}
	conv, norm := []int64{2, 1, 1, 1}, []int64{2}
	for _, b := range resnet50() {
		name := prefix + b.ours + ".weight"
		model = append(model, Param{name, conv})
		torch = append(torch, Param{b.torchConv + ".weight", conv})
		caffe = append(caffe, Param{b.caffeConv + "_w", conv})
		converted = append(converted, Param{b.ours + ".weight", conv})
		wantTorch[name], wantCaffe[name], wantConverted[name] = b.torchConv+".weight", b.caffeConv+"_w", b.ours+".weight"
		for i, part := range normParts {
			name := prefix + b.ours + ".norm." + part
			model = append(model, Param{name, norm})
			torch = append(torch, Param{b.torchNorm + "." + part, norm})
			converted = append(converted, Param{b.ours + ".norm." + part, norm})
			wantTorch[name], wantConverted[name] = b.torchNorm+"."+part, b.ours+".norm."+part
			wantCaffe[name] = name // made up
			if i < 2 {
				caffe = append(caffe, Param{b.caffeNorm + []string{"_s", "_b"}[i], norm})
				wantCaffe[name] = b.caffeNorm + []string{"_s", "_b"}[i]
			}
		}
	}
	model = append(model, Param{"head.other.weight", conv})
	torch = append(torch, Param{"fc.weight", []int64{1000, 8}}, Param{"bn1.num_batches_tracked", nil})
	caffe = append(caffe, Param{"fc1000_w", []int64{1000, 8}}, Param{"conv1_w_momentum", conv})
	converted = append(converted, Param{"stem.fc.weight", []int64{1000, 8}})
	module := slices.Clone(torch)
	for i := range module {
		module[i].Name = "module." + module[i].Name
	}
	for _, c := range []struct {
		name   string
		file   []Param
		want   map[string]string
		unused int
	}{
		{"torchvision", torch, wantTorch, 2},
		{"data-parallel torchvision", module, wantTorch, 2},
		{"detectron2", converted, wantConverted, 1},
		{"caffe2", caffe, wantCaffe, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Match(fileOf(t, c.file), model)
			require.NoError(t, err)
			if diff := cmp.Diff(c.want, pairs(m.Tensors)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			require.Empty(t, m.Mismatched)
			require.Len(t, m.Unused, c.unused)
		})
	}

	m, err := Match(fileOf(t, caffe), model)
	require.NoError(t, err)
	for part, want := range map[string][]float32{"running_mean": {0, 0}, "running_var": {1, 1}} {
		got, err := m.Tensors["backbone.bottom_up.res3.0.shortcut.norm."+part].Float32s()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestCaffe2Names(t *testing.T) {
	for from, to := range map[string]string{
		"conv1_w":                           "stem.conv1.weight",
		"conv1_gn_s":                        "stem.conv1.norm.weight",
		"res_conv1_bn_b":                    "stem.conv1.norm.bias",
		"res4_22_branch2c_bn_rm":            "res4.22.conv3.norm.running_mean",
		"res4_22_branch2c_bn_riv":           "res4.22.conv3.norm.running_var",
		"res5_0_branch1_gn_b":               "res5.0.shortcut.norm.bias",
		"res2_1_branch2b_bn_running_mean":   "res2.1.conv2.norm.running_mean",
		"res2_1_branch2b_bn_running_var":    "res2.1.conv2.norm.running_var",
		"res2_1_branch2b_bn_gamma":          "res2.1.conv2.norm.weight",
		"res2_1_branch2b_bn_beta":           "res2.1.conv2.norm.bias",
		"fpn_inner_res5_2_sum_w":            "fpn_lateral5.weight",
		"fpn_inner_res4_5_sum_lateral_b":    "fpn_lateral4.bias",
		"fpn_inner_res2_2_sum_lateral_gn_s": "fpn_lateral2.norm.weight",
		"fpn_res2_2_sum_b":                  "fpn_output2.bias",
		"fc1000_b":                          "",
		"res2_0_branch2a_w_momentum":        "",
		"pred_w":                            "",
		"fpn":                               "fpn",
		"":                                  "",
	} {
		require.Equal(t, to, fromCaffe2(from), from)
	}
}

func TestMatchRules(t *testing.T) {
	one, two := []int64{1}, []int64{2}
	for _, c := range []struct {
		name       string
		file       []Param
		model      []Param
		want       map[string]string
		mismatched map[string]string
		unused     []string
		ambiguous  string
	}{
		{
			name:  "the longest suffix wins",
			file:  []Param{{"conv.w", one}, {"a.conv.w", one}},
			model: []Param{{"x.a.conv.w", one}, {"x.b.conv.w", one}},
			want:  map[string]string{"x.a.conv.w": "a.conv.w", "x.b.conv.w": "conv.w"},
		},
		{
			name:   "a suffix begins at a dot",
			file:   []Param{{"conv.w", one}},
			model:  []Param{{"my_conv.w", one}},
			want:   map[string]string{},
			unused: []string{"conv.w"},
		},
		{
			name:       "shapes must agree",
			file:       []Param{{"conv.w", one}, {"other", one}},
			model:      []Param{{"a.conv.w", two}},
			want:       map[string]string{},
			mismatched: map[string]string{"a.conv.w": "conv.w"},
			unused:     []string{"other"},
		},
		{
			name:      "two parameters for one tensor",
			file:      []Param{{"conv.w", one}},
			model:     []Param{{"a.conv.w", one}, {"b.conv.w", one}},
			ambiguous: `tensor "conv.w": it fits two parameters: a.conv.w and b.conv.w`,
		},
		{
			name:  "the exact name keeps its tensor",
			file:  []Param{{"conv.w", one}},
			model: []Param{{"a.conv.w", one}, {"conv.w", one}},
			want:  map[string]string{"conv.w": "conv.w"},
		},
		{
			name:  "another shape does not claim a tensor that is taken",
			file:  []Param{{"conv.w", one}},
			model: []Param{{"a.conv.w", two}, {"b.conv.w", one}, {"c.conv.w", two}},
			want:  map[string]string{"b.conv.w": "conv.w"},
		},
		{
			name:      "two tensors become one",
			file:      []Param{{"conv1_w", one}, {"res_conv1_w", one}},
			model:     []Param{{"stem.conv1.weight", one}},
			ambiguous: "it becomes stem.conv1.weight, like tensor",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Match(fileOf(t, c.file), c.model)
			if c.ambiguous != "" {
				require.ErrorIs(t, err, ErrAmbiguous)
				require.ErrorContains(t, err, c.ambiguous)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, pairs(m.Tensors))
			if c.mismatched == nil {
				c.mismatched = map[string]string{}
			}
			require.Equal(t, c.mismatched, pairs(m.Mismatched))
			var unused []string
			for _, u := range m.Unused {
				unused = append(unused, u.Name)
			}
			require.Equal(t, c.unused, unused)
		})
	}
}

// TestGoldenNames matches the backbones of the golden models with files that have
// the names of ImageNet checkpoints.
func TestGoldenNames(t *testing.T) {
	for _, folder := range golden.With(t, "weights.json") {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			var model, file []Param
			want := map[string]string{}
			isSwin := false
			for _, p := range golden.Weights(t, folder) {
				model = append(model, Param{p.Name, p.Shape})
				name, ok := strings.CutPrefix(p.Name, "backbone.bottom_up.")
				if !ok || strings.HasPrefix(name, "norm") { // ImageNet Swins have one norm, which is not used
					continue
				}
				isSwin = isSwin || strings.HasPrefix(name, "patch_embed.")
				if strings.Contains(name, "res") {
					name = strings.NewReplacer("res2.", "layer1.", "res3.", "layer2.", "res4.", "layer3.", "res5.", "layer4.").Replace(name)
				}
				name = strings.TrimPrefix(name, "stem.")
				for _, i := range []string{"1", "2", "3"} {
					name = strings.Replace(name, "conv"+i+".norm.", "bn"+i+".", 1)
				}
				name = strings.Replace(strings.Replace(name, "shortcut.norm.", "downsample.1.", 1), "shortcut.", "downsample.0.", 1)
				file = append(file, Param{name, p.Shape})
				want[p.Name] = name
			}
			require.NotEmpty(t, want)
			if isSwin {
				file = append(file, Param{"norm.weight", []int64{192}}, Param{"head.weight", []int64{1000, 192}}, Param{"head.bias", []int64{1000}})
			} else {
				file = append(file, Param{"fc.weight", []int64{1000, 256}}, Param{"fc.bias", []int64{1000}})
			}
			m, err := Match(fileOf(t, file), model)
			require.NoError(t, err)
			if diff := cmp.Diff(want, pairs(m.Tensors)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			require.Empty(t, m.Mismatched)
		})
	}
}

func ExampleMatch() {
	f, err := Open("testdata/python2.pkl")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	m, err := Match(f, []Param{
		{Name: "backbone.bottom_up.stem.conv1.weight", Shape: []int64{300}},
		{Name: "backbone.bottom_up.stem.conv1.norm.weight", Shape: []int64{3}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tensors)) {
		fmt.Println(name, "←", m.Tensors[name].Name)
	}
	// Output:
	// backbone.bottom_up.stem.conv1.norm.weight ← res_conv1_bn_s
	// backbone.bottom_up.stem.conv1.weight ← conv1_w
}
