package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diffusioninst/go/internal/allocation"
	pt "github.com/diffusioninst/go/internal/pickletest"
)

// seedFiles adds files of testdata. Large ones only slow the fuzzer down.
func seedFiles(f *testing.F, patterns ...string) {
	for _, p := range patterns {
		paths, err := filepath.Glob(filepath.Join("testdata", p))
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds %s: %v", p, err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if len(raw) < 8<<10 {
				f.Add(raw)
			}
		}
	}
}

// fuzzRead opens data and reads every tensor. Whatever the data, there must be a
// typed error or tensors whose bytes the file really has.
func fuzzRead(t *testing.T, data []byte) {
	var file *File
	var err error
	allocation.OfFile(t, len(data), func() { file, err = Read(bytes.NewReader(data), int64(len(data))) })
	if err != nil {
		var e *FormatError
		if !errors.As(err, &e) {
			t.Fatalf("untyped error %T: %v", err, err)
		}
		if file != nil {
			t.Fatal("a file beside an error")
		}
		return
	}
	for _, g := range file.groups[1:] {
		part, ok := file.Part(g.path)
		if !ok {
			t.Fatalf("no part %q", g.path)
		}
		readAll(t, part, len(data))
	}
	for _, o := range []Average{AverageAuto, AverageOn, AverageOff} {
		weights, err := file.Weights(o, false)
		var e *FormatError
		switch {
		case err == nil:
			readAll(t, weights, len(data))
		case !errors.As(err, &e):
			t.Fatalf("untyped error %T: %v", err, err)
		}
	}
	readAll(t, file, len(data))
}

func readAll(t *testing.T, file *File, size int) {
	names := map[string]bool{}
	for _, tensor := range file.Tensors {
		if names[tensor.Name] {
			t.Fatalf("two tensors %q", tensor.Name)
		}
		names[tensor.Name] = true
		n := tensor.Elements() * int64(tensor.DType.Size())
		if n < 0 || n > int64(size) {
			t.Fatalf("tensor %q of %d bytes in a file of %d", tensor.Name, n, size)
		}
		if err := tensor.ReadInto(make([]byte, n)); err != nil {
			t.Fatalf("accepted but unreadable: %v", err)
		}
		values, err := tensor.Float32s()
		if err != nil || int64(len(values)) != tensor.Elements() {
			t.Fatalf("%d values of %d: %v", len(values), tensor.Elements(), err)
		}
	}
}

func FuzzZipPTH(f *testing.F) {
	seedFiles(f, "zip.pth", "plain.pth", "untyped.pth", "big_endian.pth", "state_dict.pth", "nested.pth",
		"module.pth", "evil.pth", "deflated.pth", "rich.pth", "negative.pth", "historybuffer.pth", "own_config.pth", "*.ckpt")
	f.Add(pt.PTH(pt.Dict{{"model", stateDict("module.", 1)}, {"ema_state", stateDict("", 2)}, {"optimizer", pt.Dict{}}}))
	f.Add(pt.PTH(append(stateDict("model.", 1), [2]any{"model_ema." + strings.ReplaceAll(mark, ".", ""), ones(1)}, [2]any{"model_ema.decay", ones(1)})))
	f.Add(pt.PTH(append(stateDict("", 1), [2]any{"ema_" + strings.ReplaceAll(mark, ".", "_"), ones(1)}, [2]any{"shadow_params", pt.List{ones(1)}})))
	f.Add(pt.PTH(pt.Dict{{"model", module(pt.Dict{{"w", ones(2)}}, pt.Dict{}, pt.Dict{})}}))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, data) })
}

func FuzzLegacyPTH(f *testing.F) {
	seedFiles(f, "legacy*.pth")
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, data) })
}

func FuzzPickle(f *testing.F) {
	seedFiles(f, "*.pkl")
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, data) })
}

func FuzzSafetensors(f *testing.F) {
	f.Add([]byte(safetensorsFile(`{}`, "")))
	f.Add([]byte(safetensorsFile(`{"__metadata__":{"a":"b"},"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},`+
		`"y":{"dtype":"BOOL","shape":[],"data_offsets":[4,5]},"z":{"dtype":"F64","shape":[0,3],"data_offsets":[5,5]}}`, "12345")))
	paths, err := filepath.Glob(filepath.Join("testdata", "*.p*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		g, err := Open(path)
		if err != nil {
			continue
		}
		var sources []Source
		for _, tensor := range g.Tensors {
			sources = append(sources, tensor.Source())
		}
		var b bytes.Buffer
		if err := WriteSafetensors(&b, sources, g.Metadata); err != nil {
			f.Fatal(err)
		}
		if b.Len() < 8<<10 {
			f.Add(b.Bytes())
		}
		if err := g.Close(); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzRead(t, data) })
}
