package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippet is Go in a document.
type snippet struct {
	path string // of the document, below the module's folder
	line int    // of the first line of text
	text string
}

// snippets returns the blocks of Go in the documents of the module.
func snippets(t *testing.T, top string) []snippet {
	t.Helper()
	var out []snippet
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md"} {
		files, err := filepath.Glob(filepath.Join(top, pattern))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			name, err := filepath.Rel(top, file)
			require.NoError(t, err)
			out = append(out, blocks(filepath.ToSlash(name), string(text))...)
		}
	}
	require.NotEmpty(t, out, "README.md shows some Go")
	return out
}

// blocks returns the blocks of Go in a document.
func blocks(path, text string) []snippet {
	var out []snippet
	open := false
	for i, line := range strings.SplitAfter(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "```go":
			out = append(out, snippet{path: path, line: i + 2})
			open = true
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			open = false
		case open:
			out[len(out)-1].text += line
		}
	}
	return out
}

// name is a name for a folder.
func (s snippet) name() string {
	return fmt.Sprintf("%s_%d", strings.NewReplacer("/", "_", ".", "_").Replace(s.path), s.line)
}

// known are the packages that a snippet need not import, besides this module's.
var known = []string{"bytes", "context", "errors", "fmt", "image", "io", "iter", "log", "math/rand/v2", "net/http", "os", "time"}

// file returns the snippet as a file of Go. It may be one, or declarations, or
// statements, which get ctx and img and need not use what they define.
func (s snippet) file() (string, error) {
	at := fmt.Sprintf("//line %s:%d\n", s.path, s.line)
	if strings.HasPrefix(s.text, "package ") {
		return at + s.text, nil
	}
	body := at + s.text
	file, err := parse(body)
	if err != nil {
		body = "func _(ctx context.Context, img image.Image) {\n" + at + s.text + "\n}\n"
		if file, err = parse(body); err != nil {
			return "", err
		}
		statements := file.Decls[0].(*ast.FuncDecl).Body.List
		body = strings.TrimSuffix(body, "}\n") + used(statements) + "}\n"
	}
	return "package snippet\n\n" + imports(file) + body, nil
}

func parse(body string) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", "package snippet\n"+body, 0)
}

// used returns statements that use what others define.
func used(statements []ast.Stmt) string {
	var out strings.Builder
	for _, s := range statements {
		if a, ok := s.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, left := range a.Lhs {
				if name := left.(*ast.Ident).Name; name != "_" {
					fmt.Fprintf(&out, "_ = %s\n", name)
				}
			}
		}
	}
	return out.String()
}

// imports returns the imports that the selectors of a file ask for.
func imports(file *ast.File) string {
	paths := map[string]string{}
	for _, p := range known {
		paths[path.Base(strings.TrimSuffix(p, "/v2"))] = p
	}
	for room := range rooms {
		if !hidden(module+room) && !below(room, "cmd") && room != "examples" {
			paths[path.Base(room)] = module + room
		}
	}
	wanted := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && paths[x.Name] != "" {
				wanted[paths[x.Name]] = true
			}
		}
		return true
	})
	var out strings.Builder
	for _, p := range slices.Sorted(maps.Keys(wanted)) {
		fmt.Fprintf(&out, "import %q\n", p)
	}
	return out.String()
}

func TestSnippetsBecomeFiles(t *testing.T) {
	found := blocks("a.md", "text\n```go\nx, _ := mask.NewBitmap(1, 2), 3\n```\n```sh\nls\n```\n```go\ntype t struct{}\n```\n```go\npackage main\n```\n```go\nif {\n```\n")
	require.Len(t, found, 4)
	for i, want := range []string{
		"package snippet\n\nimport \"context\"\nimport \"github.com/diffusioninst/go/mask\"\nimport \"image\"\n" +
			"func _(ctx context.Context, img image.Image) {\n//line a.md:3\nx, _ := mask.NewBitmap(1, 2), 3\n\n_ = x\n}\n",
		"package snippet\n\n//line a.md:9\ntype t struct{}\n",
		"//line a.md:12\npackage main\n",
	} {
		text, err := found[i].file()
		require.NoError(t, err)
		require.Equal(t, want, text)
	}
	_, err := found[3].file()
	require.ErrorContains(t, err, "a.md:15")
}
