package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// compiles skips a test that compiles packages over LibTorch, where cgo is off.
func compiles(t *testing.T) {
	t.Helper()
	if os.Getenv("CGO_ENABLED") == "0" {
		t.Skip("compiles packages that need cgo")
	}
}

// Another module can use what the SDK offers, and the Go in the documents compiles there.
func TestOutsideModule(t *testing.T) {
	compiles(t)
	top, dir := root(t), t.TempDir()
	watch(t, top)
	require.NoError(t, os.CopyFS(filepath.Join(dir, "doors"), os.DirFS("testdata/outside")))
	for _, s := range snippets(t, top) {
		text, err := s.file()
		if err != nil {
			t.Error(err)
			continue
		}
		folder := filepath.Join(dir, "documents", s.name())
		require.NoError(t, os.MkdirAll(folder, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "snippet.go"), []byte(text), 0o600))
	}
	of := strings.TrimSuffix(module, "/")
	version, err := exec.Command("go", "list", "-m", "-f", "{{.GoVersion}}", of).Output()
	require.NoError(t, err)
	stated := "go " + strings.TrimSpace(string(version)) + "\n"
	// In a workspace the modules are main modules, as in this repository. With replace directives
	// alone and -trimpath, go would compile the C++ of internal/libtorch again.
	for name, text := range map[string]string{
		"go.mod": "module example.com/outside\n\n" + stated + "\nrequire " + of + " v0.0.0\nrequire " + of + "/serve v0.0.0\n",
		"go.work": stated + "\nuse .\nuse " + top + "\nuse " + top + "/serve\n" +
			"replace " + of + " v0.0.0 => " + top + "\nreplace " + of + "/serve v0.0.0 => " + top + "/serve\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cmd := exec.Command("go", "vet", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PWD="+dir, "GOWORK="+filepath.Join(dir, "go.work"), "GOPROXY=off", "GOTOOLCHAIN=local")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go vet:\n%s", out)
}

// An importer of the SDK inherits nothing of the other modules.
func TestSDKAlone(t *testing.T) {
	out, err := os.ReadFile(filepath.Join(root(t), "go.mod")) // with all that it needs indirectly
	require.NoError(t, err)
	require.Contains(t, string(out), "golang.org/x/image")
	for _, name := range []string{"grpc", "protobuf", "prometheus", "opentelemetry", "cobra", "pflag", "progressbar", "gonum", "beam", "aws"} {
		require.NotContains(t, string(out), name)
	}
}
