package picture

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What PIL reads and this package does not is named by its first bytes.
func TestForeignFormatsOfPIL(t *testing.T) {
	for start, want := range map[string]string{
		"Image type: RGB image\r\n": "(IM)", "#define im_width 5\n": "(XBM)", "BLP2\x01\x00\x00\x00": "(BLP)",
		"LinS\x05\x00": "(MSP)", "DanM\x05\x00": "(MSP)",
	} {
		_, err := Decode(strings.NewReader(start+strings.Repeat("\x00", 100)), Options{})
		require.ErrorIs(t, err, ErrFormat, start)
		require.ErrorContains(t, err, want)
	}
}
