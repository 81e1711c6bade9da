package utf

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

func encoded(order binary.AppendByteOrder, mark bool, text string) string {
	var out []byte
	if mark {
		out = order.AppendUint16(out, 0xFEFF)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

func TestReader(t *testing.T) {
	const text = `{"name": "Zellkern ä 😀"}`
	for name, written := range map[string]string{
		"plain": text, "mark": "\xEF\xBB\xBF" + text,
		"little endian": encoded(binary.LittleEndian, true, text), "big endian": encoded(binary.BigEndian, true, text),
		"little endian, no mark": encoded(binary.LittleEndian, false, text), "big endian, no mark": encoded(binary.BigEndian, false, text),
	} {
		for _, r := range []io.Reader{strings.NewReader(written), iotest.OneByteReader(strings.NewReader(written)), iotest.DataErrReader(strings.NewReader(written))} {
			got, err := io.ReadAll(NewReader(r))
			require.NoError(t, err, name)
			require.Equal(t, text, string(got), name)
			got, err = io.ReadAll(iotest.OneByteReader(NewReader(strings.NewReader(written))))
			require.NoError(t, err, name)
			require.Equal(t, text, string(got), name)
		}
	}
	for _, short := range []string{"", "{", "\xEF\xBB\xBF", "\xEF\xBB"} {
		got, err := io.ReadAll(NewReader(strings.NewReader(short)))
		require.NoError(t, err)
		require.Equal(t, strings.TrimPrefix(short, "\xEF\xBB\xBF"), string(got))
	}
	got, err := io.ReadAll(NewReader(strings.NewReader(encoded(binary.LittleEndian, true, "ab") + "\x00")))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "ab", string(got))
	got, err = io.ReadAll(NewReader(strings.NewReader("\xFF\xFEa\x00\x00\xD8b\x00\x00\xD8")))
	require.NoError(t, err)
	require.Equal(t, "a\uFFFDb\uFFFD", string(got))
	_, err = NewReader(iotest.ErrReader(io.ErrClosedPipe)).Read(make([]byte, 9))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}
