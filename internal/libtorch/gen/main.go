// Command gen generates the binding of LibTorch's operators from ops.txt: the C header, the
// C++ shim, the cgo calls and the methods of torch.Tensor.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed templates.tmpl
var templates string

// param is an argument of an operator.
type param struct {
	Type, Name string
}

func (p param) variadic() bool { return p.Type == "i..." }

// op is a line of ops.txt.
type op struct {
	Go, Aten, Doc string
	Method        bool
	Params        []param
	Results       int // number of new tensors; 0 for in-place operators
}

var line = regexp.MustCompile(`^(\w+): (\.?)(\w+)\((.*)\) -> (t|T|\(T, T\)|\(T, T, T\)) \| (.+)$`)

func parse(text string) ([]op, error) {
	var ops []op
	seen := map[string]bool{}
	for n, s := range strings.Split(text, "\n") {
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		m := line.FindStringSubmatch(s)
		if m == nil {
			return nil, fmt.Errorf("ops.txt:%d: not an operator: %s", n+1, s)
		}
		o := op{Go: m[1], Method: m[2] == ".", Aten: m[3], Doc: m[6]}
		if seen[o.Go] {
			return nil, fmt.Errorf("ops.txt:%d: %s is defined twice", n+1, o.Go)
		}
		seen[o.Go] = true
		if m[5] != "t" {
			o.Results = strings.Count(m[5], "T")
		}
		for _, p := range strings.Split(m[4], ", ") {
			kind, name, ok := strings.Cut(p, " ")
			if _, known := cTypes[kind]; !ok || !known {
				return nil, fmt.Errorf("ops.txt:%d: argument %q is not a known type and a name", n+1, p)
			}
			o.Params = append(o.Params, param{kind, name})
		}
		if i := slices.IndexFunc(o.Params, param.variadic); i >= 0 && i != len(o.Params)-1 {
			return nil, fmt.Errorf("ops.txt:%d: i... must be the last argument", n+1)
		}
		ops = append(ops, o)
	}
	return ops, nil
}

// How an argument of each type is written in C, C++ and Go; %s is its name.
var cTypes = map[string]string{
	"T": "di_tensor %s", "T?": "di_tensor %s", "T[]": "const di_tensor* %[1]s, size_t %[1]s_len",
	"i": "int64_t %s", "i[]": "const int64_t* %[1]s, size_t %[1]s_len", "i...": "const int64_t* %[1]s, size_t %[1]s_len", "f": "double %s", "s": "double %s",
	"b": "bool %s", "dtype": "int %s", "const": "",
}

var cxxArgs = map[string]string{
	"T": "di::ref(%s)", "T?": "di::optional_ref(%s)", "T[]": "di::list(%[1]s, %[1]s_len)",
	"i": "%s", "i[]": "at::IntArrayRef(%[1]s, %[1]s_len)", "i...": "at::IntArrayRef(%[1]s, %[1]s_len)", "f": "%s", "s": "di::scalar(%s)",
	"b": "%s", "dtype": "static_cast<at::ScalarType>(%s)", "const": "%s",
}

var goTypes = map[string]string{
	"T": "Handle", "T?": "Handle", "T[]": "[]Handle", "i": "int", "i[]": "[]int", "i...": "[]int", "f": "float64",
	"s": "float64", "b": "bool", "dtype": "int",
}

var cgoArgs = map[string]string{
	"T": "C.di_tensor(%s)", "T?": "C.di_tensor(%s)",
	"T[]": "(*C.di_tensor)(unsafe.Pointer(unsafe.SliceData(%[1]s))), C.size_t(len(%[1]s))",
	"i":   "C.int64_t(%s)", "i[]": "ints(%[1]s), C.size_t(len(%[1]s))", "i...": "ints(%[1]s), C.size_t(len(%[1]s))",
	"f": "C.double(%s)", "s": "C.double(%s)", "b": "C.bool(%s)", "dtype": "C.int(%s)",
}

var tensorTypes = map[string]string{
	"T": "*Tensor", "T?": "*Tensor", "T[]": "[]*Tensor", "i": "int", "i[]": "[]int", "i...": "...int", "f": "float64",
	"s": "float64", "b": "bool", "dtype": "DType",
}

var tensorArgs = map[string]string{
	"T": "%s.handle()", "T?": "%s.optionalHandle()", "T[]": "handles(%s)", "i": "%s", "i[]": "%s", "i...": "%s", "f": "%s",
	"s": "%s", "b": "%s", "dtype": "%s.number()",
}

func (o op) join(words map[string]string, keep func(param) bool, with func(param, string) string) string {
	var out []string
	for _, p := range o.Params {
		if keep(p) {
			out = append(out, with(p, fmt.Sprintf(strings.ReplaceAll(words[p.Type], "%s", "%[1]s"), p.Name)))
		}
	}
	return strings.Join(out, ", ")
}

func word(_ param, s string) string { return s }
func named(p param, s string) string {
	return p.Name + " " + strings.TrimSuffix(s, "%!(EXTRA string="+p.Name+")")
}
func every(param) bool          { return true }
func runtimeOnly(p param) bool  { return p.Type != "const" }
func isTensor(p param) bool     { return p.Type == "T" || p.Type == "T?" }
func (o op) CParams() string    { return o.join(cTypes, runtimeOnly, word) }
func (o op) GoParams() string   { return o.join(goTypes, runtimeOnly, named) }
func (o op) CgoArgs() string    { return o.join(cgoArgs, runtimeOnly, word) }
func (o op) TensorArgs() string { return o.join(tensorArgs, runtimeOnly, word) }
func (o op) Receiver() bool     { return o.Params[0].Type == "T" }
func (o op) Tensors() string    { return o.join(map[string]string{"T": "%s", "T?": "%s"}, isTensor, word) }
func (o op) First() string      { return o.Params[0].Name }
func (o op) Result() string {
	return [...]string{"di_error*", "di_result1", "di_result2", "di_result3"}[o.Results]
}
func (o op) GoResult() string {
	return [...]string{"*Error", "(Handle, *Error)", "(Handle, Handle, *Error)", "(Handle, Handle, Handle, *Error)"}[o.Results]
}
func (o op) TensorResult() string {
	return [...]string{"*Tensor", "*Tensor", "(*Tensor, *Tensor)", "(*Tensor, *Tensor, *Tensor)"}[o.Results]
}

// TensorParams lists the parameters of the method of torch.Tensor.
func (o op) TensorParams() string {
	first := true
	return o.join(tensorTypes, func(p param) bool {
		skip := first && o.Receiver()
		first = false
		return !skip && runtimeOnly(p)
	}, named)
}

// Call is the C++ expression of the operator.
func (o op) Call() string {
	if o.Method {
		rest := op{Params: o.Params[1:]}
		return fmt.Sprintf("di::ref(%s).%s(%s)", o.First(), o.Aten, rest.join(cxxArgs, every, word))
	}
	return fmt.Sprintf("at::%s(%s)", o.Aten, o.join(cxxArgs, every, word))
}

func headers(ops []op) []string {
	set := map[string]bool{}
	for _, o := range ops {
		if !o.Method {
			set[o.Aten] = true
		}
	}
	out := make([]string, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile("ops.txt")
	if err != nil {
		log.Fatal(err)
	}
	ops, err := parse(string(text))
	if err != nil {
		log.Fatal(err)
	}
	t := template.Must(template.New("").Parse(templates))
	data := map[string]any{"Ops": ops, "Headers": headers(ops)}
	for _, path := range []string{"ops_gen.h", "ops_gen.hpp", "ops_gen.go", "../../torch/ops_gen.go"} {
		var buf bytes.Buffer
		name := filepath.Base(path)
		if strings.HasPrefix(path, "../") {
			name = "torch_" + name
		}
		if err := t.ExecuteTemplate(&buf, name, data); err != nil {
			log.Fatal(err)
		}
		out := buf.Bytes()
		if strings.HasSuffix(path, ".go") {
			if out, err = format.Source(out); err != nil {
				log.Fatalf("%s: %v\n%s", path, err, buf.Bytes())
			}
		}
		if err := os.WriteFile(path, out, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
