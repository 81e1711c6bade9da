package annotation

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/coco"
)

// Classes come back as they are, whatever they hold.
func TestImageJKeepsClasses(t *testing.T) {
	names := []string{"cell", " outer ", "two\nlines", "a\r\n\tb", `back\slash\n`, `C:\new\u0041`, "double  space", "key: value=1", "#1", "Zellkörper ü", "細胞 😀", " ", "\u00a0x\u2028"}
	want := scene()
	square := want.Instances[0]
	want.Instances = nil
	for _, name := range names {
		square.Category = name
		want.Instances = append(want.Instances, square)
	}
	var text bytes.Buffer
	require.NoError(t, WriteImageJ(&text, want))
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a_rois.zip"), text.String())
	_, pictures, err := Each(folder, Options{})
	require.NoError(t, err)
	var got *coco.LabeledImage
	for p, err := range pictures {
		require.NoError(t, err)
		got = p
	}
	require.Len(t, got.Instances, len(names))
	for i, name := range names {
		require.Equal(t, name, got.Instances[i].Category)
	}
}

// Texts as java.util.Properties stores and loads them.
func TestImageJProperties(t *testing.T) {
	for value, stored := range map[string]string{
		"cell": "cell", "a b": "a b", " a": `\u0020a`, "a ": `a\u0020`, "a\nb": `a\nb`, `a\b`: `a\\b`, "ö": `\u00f6`, "😀": `\ud83d\ude00`, "\x00": `\u0000`, "": "",
	} {
		require.Equal(t, stored, escapeProperty(value))
		require.Equal(t, value, unescapeProperty(stored))
	}
	for text, want := range map[string]string{`a\:b`: "a:b", `a\ `: "a ", `a\`: "a", `\u12`: `\u12`, `\uzzzz`: `\uzzzz`, "ö": "ö", `\z`: "z"} {
		require.Equal(t, want, unescapeProperty(text), text)
	}
}
