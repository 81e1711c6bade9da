package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a public package exports can be called by importers: no signature, field or
// variable has a type of an internal package.
func TestExportedSignaturesAreCallable(t *testing.T) {
	compiles(t)
	exports := exportData(t)
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		file, ok := exports[path]
		if !ok {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(file)
	})
	checked := 0
	for _, path := range slices.Sorted(maps.Keys(exports)) {
		ours, ok := strings.CutPrefix(path, module)
		if !ok || hidden(path) || below(ours, "cmd") || below(ours, "examples") {
			continue
		}
		p, err := imports.Import(path)
		require.NoError(t, err)
		checked++
		for _, problem := range uncallable(p) {
			t.Errorf("%s: %s", ours, problem)
		}
	}
	require.Greater(t, checked, 10)
}

// exportData returns the files in the build cache that hold the types of the module's
// packages and all that they import.
func exportData(t *testing.T) map[string]string {
	t.Helper()
	watch(t, root(t))
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "work")
	cmd.Dir, cmd.Stderr = "../..", os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	files := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return files
		} else {
			require.NoError(t, err)
		}
		files[p.ImportPath] = p.Export
	}
}

// The check itself is tried on signatures that must not be.
func TestSignaturesForbid(t *testing.T) {
	fset := token.NewFileSet()
	compile := func(path, text string, imports types.Importer) *types.Package {
		file, err := parser.ParseFile(fset, path, text, 0)
		require.NoError(t, err)
		p, err := (&types.Config{Importer: imports}).Check(path, fset, []*ast.File{file}, nil)
		require.NoError(t, err)
		return p
	}
	inner := compile(module+"internal/in", `package in; type T struct{ N int }; var Err error; var V T; func (T) M(T) {}`, nil)
	public := compile(module+"out", `package out
		import "`+inner.Path()+`"
		type (
			Embeds struct{ in.T }
			Field struct{ F map[string][]*in.T }
			Promoted struct{ promoted }
			promoted struct{ F in.T }
			Interface interface{ M() in.T }
			Alias = in.T
			Generic[E any] struct{}
			Method struct{}
			Good struct { t in.T; N int }
		)
		func (*Method) M(func(chan in.T)) {}
		func (Good) m(in.T) {}
		func Function(...in.T) {}
		func Argument() Generic[in.T] { panic(0) }
		func function(in.T) {}
		var Variable = in.V
		var Err = in.Err
		func OK(Good, Field) error { return nil }
	`, imported{inner.Path(): inner})
	var names []string
	for _, problem := range uncallable(public) {
		name, _, _ := strings.Cut(problem, " ")
		names = append(names, name)
	}
	require.Equal(t, []string{"Alias", "Argument", "Embeds", "Embeds.M", "Field", "Function", "Interface", "Method.M", "Promoted", "Variable"}, names)
}

// imported is an importer of packages at hand.
type imported map[string]*types.Package

func (i imported) Import(path string) (*types.Package, error) { return i[path], nil }

// hidden reports whether a package of this module is one that importers cannot import.
func hidden(path string) bool {
	return strings.HasPrefix(path, module) && strings.Contains(path, "/internal/")
}

// uncallable lists what a package exports with types of hidden packages.
func uncallable(p *types.Package) []string {
	var out []string
	check := func(name string, t types.Type) {
		if bad := hiddenIn(t); bad != "" {
			out = append(out, fmt.Sprintf("%s mentions %s", name, bad))
		}
	}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		named, isType := object.Type().(*types.Named)
		if _, declares := object.(*types.TypeName); !declares || !isType || named.Obj() != object {
			check(name, object.Type())
			continue
		}
		check(name, named.Underlying())
		for method := range types.NewMethodSet(types.NewPointer(named)).Methods() {
			if method.Obj().Exported() {
				check(name+"."+method.Obj().Name(), method.Type())
			}
		}
	}
	return out
}

// hiddenIn returns the first hidden type that an importer meets in t, "" if there is
// none. It does not look into named types of public packages, which are checked for
// themselves, nor at fields that are not exported.
func hiddenIn(t types.Type) string {
	first := func(ts ...types.Type) string {
		for _, t := range ts {
			if bad := hiddenIn(t); bad != "" {
				return bad
			}
		}
		return ""
	}
	switch t := t.(type) {
	case *types.Named:
		if o := t.Obj(); o.Pkg() != nil && hidden(o.Pkg().Path()) {
			return o.Pkg().Name() + "." + o.Name()
		}
		return first(slices.Collect(t.TypeArgs().Types())...)
	case *types.Alias:
		return hiddenIn(types.Unalias(t))
	case *types.Pointer:
		return hiddenIn(t.Elem())
	case *types.Slice:
		return hiddenIn(t.Elem())
	case *types.Array:
		return hiddenIn(t.Elem())
	case *types.Chan:
		return hiddenIn(t.Elem())
	case *types.Map:
		return first(t.Key(), t.Elem())
	case *types.Tuple:
		for v := range t.Variables() {
			if bad := hiddenIn(v.Type()); bad != "" {
				return bad
			}
		}
	case *types.Signature:
		return first(t.Params(), t.Results())
	case *types.Struct:
		for f := range t.Fields() {
			of := f.Type()
			if f.Embedded() && !f.Exported() {
				of = of.Underlying() // its fields are promoted
			} else if !f.Exported() {
				continue
			}
			if bad := hiddenIn(of); bad != "" {
				return f.Name() + ": " + bad
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if bad := hiddenIn(m.Type()); bad != "" {
				return m.Name() + ": " + bad
			}
		}
	}
	return ""
}
