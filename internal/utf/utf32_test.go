package utf

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestUTF32(t *testing.T) {
	text := strings.Repeat("Größe 5 µm 😀 细胞 ", 300)
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var wide []byte
		for _, c := range "\uFEFF" + text {
			wide = order.AppendUint32(wide, uint32(c))
		}
		got, err := Text(wide)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
		require.NoError(t, iotest.TestReader(NewReader(strings.NewReader(string(wide))), []byte(text)))
		got, err = Text(append(order.AppendUint32(wide[:8:8], 1<<31), 1))
		require.NoError(t, err)
		require.Equal(t, "G\uFFFD\uFFFD", string(got))
	}
}
