//go:build cgo

package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	for text, want := range map[string]string{
		"a.png\nb.png\n":                 "a.png|b.png",
		"\ufeffa.png\r\n\r\n  \nb c.png": "a.png|b c.png 4",
		"#1.png\n é.png ":                "#1.png| é.png ",
		"abc\x00de\n":                    "!not a text file",
		"\n \n":                          "!no lines",
		"a.png\r\n\n \nb.png\n\nc.png":   "a.png|b.png 4|c.png 6",
		"\n\na.png\n\n" + strings.Repeat("/", 1<<21): "!line 5",
		strings.Repeat("x", 1<<21):                   "!line 1",
		"a.png\n" + strings.Repeat("/", 1<<21):       "!line 2",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		lines, err := readList(path, nil)
		if say, fails := strings.CutPrefix(want, "!"); fails {
			require.ErrorContains(t, err, say)
			require.ErrorContains(t, err, "--list "+path)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, numbered(lines))
		lines, err = readList("-", strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, want, numbered(lines))
	}
	_, err := readList(t.TempDir(), nil)
	require.Error(t, err)
}

// A folder is expanded and a link is followed although their names are those of pictures, whether or not their folder is
// read for that.
func TestListedFolderNamedAsPicture(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x.png/1.png", "x.png/2.png", "a.png", "out/3.png", "b.png", "c.png", "d.png"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	require.NoError(t, os.Symlink("x.png", filepath.Join(dir, "y.png")))
	require.NoError(t, os.Symlink("out/3.png", filepath.Join(dir, "z.png")))
	names := func(lines ...string) string {
		for i := range lines {
			lines[i] = dir + "/" + lines[i]
		}
		inputs, err := listedInputs(t.Context(), listOf(lines...), []string{filepath.Join(dir, "out")}, func(string, ...any) {})
		if err != nil {
			return err.Error()
		}
		out := ""
		for _, in := range inputs {
			out += in.name + " "
		}
		return out
	}
	more := []string{"a.png", "b.png", "none.png", "gone/none.png"} // enough for the folder to be read
	all := "a.png b.png none.png gone/none.png "
	require.Equal(t, "1.png 2.png ", names("x.png"))
	require.Equal(t, all+"x.png/1.png x.png/2.png ", names(append(more, "x.png")...))
	require.Equal(t, all+"y.png/1.png y.png/2.png ", names(append(more, "y.png")...))
	for _, line := range []string{"z.png", "out/3.png", "out/none.png"} {
		require.Contains(t, names(line), "choose another --output")
		require.Contains(t, names(append(more, line)...), "choose another --output", line)
	}
	lines := newListedFiles(listOf(dir+"/a.png", dir+"/b.png"))
	require.True(t, lines.has(dir+"/a.png"))
	require.True(t, lines.has(dir+"/none.png"))
	require.False(t, lines.has(dir+"/x.png"))
	require.False(t, lines.has(dir+"/*.png"))
	require.False(t, newListedFiles(listOf(dir+"/a.png")).has(dir+"/a.png"), "of a folder with more than four times as many names")
}

// numbered returns lines with their numbers where they are not those of the lines without blank ones.
func numbered(lines []listLine) string {
	var out []string
	for i, l := range lines {
		if l.number == i+1 {
			out = append(out, l.text)
		} else {
			out = append(out, fmt.Sprintf("%s %d", l.text, l.number))
		}
	}
	return strings.Join(out, "|")
}

// listOf returns the lines of a list.
func listOf(lines ...string) (out []listLine) {
	for i, text := range lines {
		out = append(out, listLine{text, i + 1})
	}
	return out
}

// Pictures are named below the folder that they share; what is missing keeps its place.
func TestListedInputs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"x/1.png", "x/2.png", "y/1.png", "out/3.png"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	for lines, want := range map[string]string{
		"x/2.png":                        "2.png",
		"x/2.png y/1.png x/2.png":        "x/2.png y/1.png",
		"y x":                            "y/1.png x/1.png x/2.png",
		"x/*.png y/missing.png no/*.png": "x/1.png x/2.png y/missing.png no/*.png",
		"x/../y/1.png x/1.png":           "y/1.png x/1.png",
		"x/1.png out/3.png":              "!choose another --output",
		"x/1.png -":                      "!standard input",
	} {
		var all []string
		for _, l := range strings.Fields(lines) {
			if l != "-" {
				l = dir + "/" + l
			}
			all = append(all, l)
		}
		said := ""
		inputs, err := listedInputs(t.Context(), listOf(all...), []string{filepath.Join(dir, "out")}, func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
		if say, fails := strings.CutPrefix(want, "!"); fails {
			require.ErrorContains(t, err, say)
			continue
		}
		require.NoError(t, err)
		var names []string
		for _, in := range inputs {
			names = append(names, in.name)
		}
		require.Equal(t, want, strings.Join(names, " "), lines)
		require.Equal(t, lines == "x/2.png y/1.png x/2.png", strings.Contains(said, "1 picture again that the list has already"), said)
	}
}

// Addresses that would share a name have names of their own, and those whose query says nothing to Go are different ones.
func TestListedAddresses(t *testing.T) {
	lines := listOf("https://h/a.png", "https://h/q?id=1", "https://h/q?id=2", "https://h/q?id=1;x", "https://h/q?id=2;x", "https://h/q?id=1&token=s&expires=1")
	said := ""
	inputs, err := listedInputs(t.Context(), lines, nil, func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
	require.NoError(t, err)
	require.Len(t, inputs, 5)
	require.Equal(t, "a.png", inputs[0].name)
	names := map[string]bool{}
	for _, in := range inputs {
		names[in.name] = true
	}
	require.Len(t, names, 5)
	require.Contains(t, said, "1 picture again that the list has already, left out (the first: line 6, https://h/q)")
	require.NotContains(t, said, "token")
}

// Many addresses that differ in their query only have as many names.
func TestAddressesOfOneServer(t *testing.T) {
	inputs := make([]segmentInput, 200_000) // of which about five would share four bytes of a checksum
	for i := range inputs {
		inputs[i] = segmentInput{path: fmt.Sprintf("https://h/a.png#query-%d", i), name: "h/a.png", address: &url.URL{}}
	}
	distinguish(inputs)
	names := map[string]bool{}
	for _, in := range inputs {
		names[in.name] = true
	}
	require.Len(t, names, len(inputs))
}
