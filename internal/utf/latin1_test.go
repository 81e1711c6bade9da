package utf

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLatin1(t *testing.T) {
	for text, want := range map[string]string{
		"Zellkern \xe4": "Zellkern ä", "Gr\xf6\xdfe": "Größe", "5 \xb5m\xb2": "5 µm²", "caf\xe9": "café", "\xc9tat": "État", "\xa9 2024": "© 2024", "ma\xf1ana ni\xf1o": "mañana niño",
	} {
		got, ok := Latin1([]byte(text))
		require.True(t, ok, want)
		require.Equal(t, want, got)
		all, err := Text([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want, string(all))
	}
	for name, text := range map[string]string{
		"GBK": "\xcf\xb8\xb0\xfb\xba\xcb", "GBK, one": "A\xbc\xb6", "Shift-JIS": "\x8d\x96\x96\xe5", "KOI8-R": "\xd1\xc4\xd2\xcf", "Windows-1251": "\xff\xe4\xf0\xee", "CP437": "Gr\x94\xe1e", "EUC-KR": "\xc7\xd9", "cut": "abc\xe4\xb8\x8d\xe4\xb8",
	} {
		_, ok := Latin1([]byte(text))
		require.False(t, ok, name)
		_, err := Text([]byte("ä\uFFFD" + text))
		require.ErrorContains(t, err, "save the file as UTF-8", name)
	}
	_, err := Text([]byte("a\uFFFD\x8d"))
	require.ErrorContains(t, err, "byte 4:")
	for _, text := range []string{"", "ascii", "ä\uFFFD"} {
		got, err := Text([]byte(text))
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}
}
