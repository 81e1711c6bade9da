package checkpoint

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	pt "github.com/diffusioninst/go/internal/pickletest"
)

func ones(n int) pt.Tensor {
	values := make([]float32, n)
	for i := range values {
		values[i] = 1
	}
	return pt.Tensor{Shape: []int{n}, Values: values}
}

func readPTH(t *testing.T, root any) (*File, error) {
	t.Helper()
	data := pt.PTH(root)
	return Read(bytes.NewReader(data), int64(len(data)))
}

func tensorNames(f *File) []string {
	var out []string
	for _, t := range f.Tensors {
		out = append(out, t.Name)
	}
	return out
}

// The files that training programs write with objects of their own beside the weights;
// testdata/make_unknown.py made them.
func TestUnknownClassesOfTrainingPrograms(t *testing.T) {
	for name, class := range map[string]string{
		"historybuffer.pth":  "mmengine.logging.history_buffer.HistoryBuffer",
		"attributedict.ckpt": "lightning.fabric.utilities.data.AttributeDict",
		"omegaconf.ckpt":     "omegaconf.dictconfig.DictConfig",
		"own_config.pth":     "myproject.config.Config",
	} {
		f, err := Open(filepath.Join("testdata", name))
		require.NoError(t, err, name)
		require.Equal(t, []string{"w"}, tensorNames(f), name)
		require.Contains(t, f.ReadOver, class)
		require.NoError(t, f.Close())
	}
	for name, class := range map[string]string{"evil.pth": "posix.system", "module.pth": "torch.nn.modules.linear.Linear"} {
		f, err := Open(filepath.Join("testdata", name))
		require.NoError(t, err, name)
		require.Contains(t, f.ReadOver, class)
		require.NoError(t, f.Close())
	}
}

// Whatever is beside the weights is read over.
func TestUnknownObjectsAreReadOver(t *testing.T) {
	enum := pt.Object{Class: "mine.Color", Args: pt.Tuple{1}}
	loop := pt.Raw("cmine\nTrainer\n)R\x94}X\x04\x00\x00\x00selfh\x00s" + "b") // an object that refers to itself
	deep := any(pt.Dict{})
	for range 100 {
		deep = pt.Dict{{"deeper", deep}}
	}
	for name, v := range map[string]any{
		"enum":                   enum,
		"enum, Python 3.11":      pt.Object{Class: "builtins.getattr", Args: pt.Tuple{pt.Raw("cmine\nColor\n"), "RED"}},
		"call of a bound method": pt.Raw("cbuiltins\ngetattr\ncmine\nColor\nX\x04\x00\x00\x00make\x86R)R"),
		"partial":                pt.Object{Class: "functools.partial", Args: pt.Tuple{pt.Raw("cmine\nf\n")}, State: pt.Tuple{pt.Raw("cmine\nf\n"), pt.Tuple{}, pt.Dict{}, nil}},
		"path":                   pt.Object{Class: "pathlib.PosixPath", Args: pt.Tuple{"/", "data"}},
		"namespace":              pt.Object{Class: "argparse.Namespace", State: pt.Dict{{"lr", 0.1}}},
		"date":                   pt.Object{Class: "datetime.datetime", Args: pt.Tuple{"abcdefghij"}},
		"device":                 pt.Object{Class: "torch.device", Args: pt.Tuple{"cuda", 0}},
		"version":                pt.Object{Class: "torch.torch_version.TorchVersion", Args: pt.Tuple{"2.1.0"}},
		"dtype":                  pt.Raw("ctorch\nfloat32\n"),
		"factory":                pt.Object{Class: "collections.defaultdict", Args: pt.Tuple{pt.Object{Class: "functools.partial"}}},
		"deque":                  pt.Raw("ccollections\ndeque\n)R(K\x01K\x02e"),
		"set of objects":         pt.Object{Class: "builtins.set", Args: pt.Tuple{pt.List{enum}}},
		"set of an object":       pt.Object{Class: "builtins.set", Args: pt.Tuple{enum}},
		"old object":             pt.Raw("(imine\nOld\n}b"),
		"old object, OBJ":        pt.Raw("(cmine\nOld\nK\x01o"),
		"protocol 1":             pt.Object{Class: "copy_reg._reconstructor", Args: pt.Tuple{pt.Raw("cmine\nA\n"), pt.Raw("c__builtin__\nobject\n"), nil}, State: pt.Dict{{"a", 1}}},
		"keywords":               pt.Raw("cmine\nA\n)}\x92"),
		"slots":                  pt.Object{Class: "mine.S", State: pt.Tuple{nil, pt.Dict{{"a", 1}}}},
		"encoding":               pt.Object{Class: "_codecs.encode", Args: pt.Tuple{"a", "rot13"}},
		"random state":           pt.Object{Class: "numpy.random._pickle.__randomstate_ctor", Args: pt.Tuple{"MT19937"}},
		"date of NumPy":          pt.Raw("cnumpy.core.multiarray\nscalar\ncnumpy.dtypes\nDateTime64DType\n)RU\x08abcdefgh\x86R"),
		"persistent id":          pt.Raw("X\x05\x00\x00\x00outerQ"),
		"module class":           pt.Raw("(X\x06\x00\x00\x00modulecmine\nNet\nNNtQ"),
		"circle":                 loop,
		"deep":                   deep,
		"optimiser":              pt.Object{Class: "torch.optim.adamw.AdamW", State: pt.Dict{{"state", pt.Dict{{0, pt.Dict{{"exp_avg", ones(2)}}}}}}},
	} {
		f, err := readPTH(t, pt.Dict{{"before", v}, {"model", pt.Dict{{"w", ones(2)}}}, {"after", pt.List{v, pt.Dict{{"x", v}}}}})
		require.NoError(t, err, name)
		require.Equal(t, []string{"w"}, tensorNames(f), name)
		values, err := f.Tensors[0].Float32s()
		require.NoError(t, err)
		require.Equal(t, []float32{1, 1}, values, name)
	}
}

// An unknown object in a state dictionary costs its own name only.
func TestWhyThereIsNoTensor(t *testing.T) {
	f, err := readPTH(t, pt.Dict{{"state_dict", pt.Dict{
		{"w", ones(2)},
		{"q", pt.Object{Class: "torch._utils._rebuild_qtensor", Args: pt.Tuple{1, 2}}},
		{"x", pt.Object{Class: "torchao.quantization.Int8Tensor", Args: pt.Tuple{ones(1), ones(1)}}},
		{"c", pt.Tensor{Shape: []int{1}, Values: []float32{1}, Storage: "QInt32Storage"}},
		{"m", pt.Object{Class: "torch._utils._rebuild_meta_tensor_no_storage", Args: pt.Tuple{}}},
	}}})
	require.NoError(t, err)
	require.Equal(t, []string{"w"}, tensorNames(f))
	require.NoError(t, f.Why("w"))
	require.NoError(t, f.Why("y"))
	require.ErrorIs(t, f.Why("q"), ErrUnsupported)
	require.ErrorContains(t, f.Why("q"), `tensor "q": it is quantised`)
	require.ErrorIs(t, f.Why("c"), ErrUnsupported)
	require.ErrorIs(t, f.Why("m"), ErrUnsupported)
	require.ErrorIs(t, f.Why("x"), ErrForbidden)
	require.ErrorContains(t, f.Why("x"), "torchao.quantization.Int8Tensor")
	require.ErrorContains(t, f.Why("x"), "torch.save(")

	// What an unknown function makes of tensors is unknown.
	for _, root := range []any{
		pt.Dict{{"model", pt.Object{Class: "mine.dequantised", Args: pt.Tuple{stateDict("", 1)}}}},
		pt.Object{Class: "mine.dequantised", Args: pt.Tuple{stateDict("", 1)}},
		pt.Dict{{"state", pt.Object{Class: "mine.dequantised", Args: pt.Tuple{pt.Dict{{"model", stateDict("", 1)}}}}}},
	} {
		_, err = readPTH(t, root)
		require.ErrorIs(t, err, ErrForbidden)
		require.ErrorContains(t, err, "mine.dequantised")
		require.ErrorContains(t, err, "torch.save(")
	}
	f, err = readPTH(t, pt.Dict{{"model", stateDict("", 1)}, {"ema_state", pt.Object{Class: "mine.averaged", Args: pt.Tuple{stateDict("", 2)}}}})
	require.NoError(t, err)
	_, err = f.Weights(AverageOn, false)
	require.ErrorIs(t, err, ErrNoAverage)
	weights, err := f.Weights(AverageAuto, false)
	require.NoError(t, err)
	require.Equal(t, "model", weights.Sets()[0].Name)

	_, err = readPTH(t, pt.Dict{{"model", pt.Object{Class: "mine.Net"}}, {"epoch", 3}})
	require.ErrorIs(t, err, ErrForbidden)
	require.ErrorContains(t, err, "mine.Net")
	require.ErrorContains(t, err, "torch.save(")
	_, err = readPTH(t, pt.Object{Class: "mine.Net", State: pt.Dict{{"a", 1}}})
	require.ErrorIs(t, err, ErrForbidden)
	require.ErrorContains(t, err, "torch.save(")
}

// module is a torch.nn.Module as it is pickled as a whole.
func module(parameters, buffers, modules pt.Dict, passing ...any) pt.Object {
	return pt.Object{Class: "mine.Net", State: pt.Dict{
		{"training", true}, {"_parameters", parameters}, {"_buffers", buffers}, {"_modules", modules},
		{"_non_persistent_buffers_set", pt.Object{Class: "builtins.set", Args: pt.Tuple{pt.List(passing)}}},
	}}
}

// Of a module that was pickled as a whole the parameters are read, without its code.
func TestWholeModules(t *testing.T) {
	parameter := pt.Object{Class: "torch._utils._rebuild_parameter", Args: pt.Tuple{ones(3), true, pt.Dict{}}}
	buffer := pt.Object{Class: "torch.nn.parameter.Buffer", Args: pt.Tuple{ones(4)}}
	inner := module(pt.Dict{{"weight", parameter}, {"bias", nil}}, pt.Dict{{"mean", ones(1)}, {"scratch", ones(9)}, {"b", buffer}}, pt.Dict{}, "scratch")
	net := module(pt.Dict{}, pt.Dict{}, pt.Dict{{"fc", inner}, {"none", nil}})
	want := []string{"fc.weight", "fc.mean", "fc.b"}
	for name, root := range map[string]any{"root": net, "model": pt.Dict{{"epoch", 3}, {"model", net}}, "part": pt.Dict{{"ema", net}}} {
		f, err := readPTH(t, root)
		require.NoError(t, err, name)
		if name == "part" {
			require.Equal(t, []string{"ema.fc.weight", "ema.fc.mean", "ema.fc.b"}, tensorNames(f))
		} else {
			require.Equal(t, want, tensorNames(f), name)
		}
	}
}

// Dictionaries and lists of own classes are dictionaries and lists.
func TestStateDictionariesOfOwnClasses(t *testing.T) {
	items := pt.Dict{{"w", ones(2)}}
	for name, v := range map[string]any{
		"subclass":   pt.Object{Class: "mine.Dict", Items: items},
		"made of":    pt.Object{Class: "types.MappingProxyType", Args: pt.Tuple{items}},
		"protocol 1": pt.Object{Class: "copyreg._reconstructor", Args: pt.Tuple{pt.Raw("cmine\nDict\n"), pt.Raw("cbuiltins\ndict\n"), items}},
		"of another": pt.Object{Class: "collections.OrderedDict", Args: pt.Tuple{pt.Object{Class: "mine.Dict", Items: items}}},
		"NEWOBJ":     pt.Object{Class: "copyreg.__newobj__", Args: pt.Tuple{pt.Raw("cmine\nDict\n")}, Items: items},
	} {
		f, err := readPTH(t, pt.Dict{{"model", v}})
		require.NoError(t, err, name)
		require.Equal(t, []string{"w"}, tensorNames(f), name)
	}
}

// TestDeepCalls has calls inside calls, which must not use up the stack.
func TestDeepCalls(t *testing.T) {
	for _, program := range []string{
		"ccopyreg\n__newobj__\nq\x00(" + strings.Repeat("h\x00", 1<<16) + "tR.",
		"ctorch._tensor\n_rebuild_from_type_v2\nq\x00N)Nq\x010" + "h\x00N)N(tq\x02" + strings.Repeat("0(h\x00Nh\x02Ntq\x02", 1<<15) + "h\x00h\x02R.",
	} {
		data := "\x80\x02" + program
		_, err := Read(strings.NewReader(data), int64(len(data)))
		require.ErrorIs(t, err, ErrCorrupt)
	}
}
