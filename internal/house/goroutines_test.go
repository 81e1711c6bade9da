package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// startGoroutines are the files, tests aside, that start goroutines. Each sees to it that a
// panic in one goes on in the goroutine that waits for it, by package relay, or becomes the error of
// the requests that wait, and that none is left. Others call relay.Each.
var startGoroutines = map[string]bool{
	"internal/relay/relay.go":          true,
	"internal/pipeline/pipeline.go":    true,
	"serve/schedule.go":                true,
	"torch/worker.go":                  true,
	"torch/team.go":                    true,
	"torch/processes/join.go":          true, // c10d's calls, and a watcher that calls only the store
	"torch/processes/control.go":       true, // the store's calls, which may be left alone
	"examples/nats/worker.go":          true, // tells the server that a picture is being worked on
	"torch/processes/device.go":        true, // NCCL waits for the others, and is watched
	"train/data/loader.go":             true,
	"cmd/diffusioninst/signals.go":     true,
	"cmd/diffusioninst/serve_admin.go": true, // the server for operators
	"internal/proctest/proctest.go":    true, // waits for a child, in tests
}

func TestGoroutinesStartInFewPlaces(t *testing.T) {
	top := root(t)
	found := map[string]bool{}
	require.NoError(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		ast.Inspect(file, func(n ast.Node) bool {
			if starts(n) {
				found[filepath.ToSlash(name)] = true
			}
			return true
		})
		return err
	}))
	require.Equal(t, startGoroutines, found)
}

// starts reports whether a node starts a goroutine: a go statement, or a call of a method Go,
// as sync.WaitGroup and errgroup.Group have it, or of iter.Pull.
func starts(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		f := n.Fun
		if generic, ok := f.(*ast.IndexExpr); ok {
			f = generic.X
		}
		s, ok := f.(*ast.SelectorExpr)
		return ok && (s.Sel.Name == "Go" || s.Sel.Name == "TryGo" || s.Sel.Name == "Pull" || s.Sel.Name == "Pull2")
	}
	return false
}
