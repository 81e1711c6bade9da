package picture

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.png", "a.JPG", "notes.txt", "below/c.tiff", "below/d.webp", ".hidden/e.png", ".f.png", "odd[1].png"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o755))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "below"), link))
	in := func(names ...string) []string {
		for i, name := range names {
			names[i] = filepath.Join(dir, filepath.FromSlash(name))
		}
		return names
	}
	for name, test := range map[string]struct{ args, want []string }{
		"nothing":            {nil, nil},
		"file":               {in("b.png"), in("b.png")},
		"any name":           {in("notes.txt"), in("notes.txt")},
		"folder":             {[]string{dir}, in("a.JPG", "b.png", "below/c.tiff", "below/d.webp", "odd[1].png")},
		"pattern":            {in("*.png"), in("b.png", "odd[1].png")},
		"pattern of folders": {in("b*"), in("b.png", "below/c.tiff", "below/d.webp")},
		"brackets in a name": {in("odd[1].png"), in("odd[1].png")},
		"named twice":        {in("b.png", "*.png", "./b.png"), in("b.png", "odd[1].png")},
		"standard input":     {[]string{"-"}, []string{"-"}},
		"link to a folder":   {[]string{link}, []string{filepath.Join(link, "c.tiff"), filepath.Join(link, "d.webp")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(test.args)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	for name, test := range map[string]struct {
		arg  string
		kind error
	}{
		"missing":             {"none.png", fs.ErrNotExist},
		"pattern of nothing":  {"*.bmp", ErrNoFiles},
		"malformed pattern":   {"[", ErrNoFiles},
		"folder of nothing":   {"empty", ErrNoFiles},
		"pattern to no files": {"emp*", ErrNoFiles},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Find(in(test.arg))
			require.ErrorIs(t, err, test.kind)
			var typed *Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, filepath.Join(dir, test.arg), typed.Path)
		})
	}
}
