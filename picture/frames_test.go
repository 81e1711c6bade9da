package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Of an animation the first frame is taken, with a note; a single picture has none.
func TestAnimationsAreNoted(t *testing.T) {
	still, err := os.ReadFile("testdata/rgb.png")
	require.NoError(t, err)
	at := bytes.Index(still, []byte("IDAT")) - 4
	chunk := []byte("acTL\x00\x00\x00\x03\x00\x00\x00\x00") // three frames, for ever
	animated := binary.BigEndian.AppendUint32(bytes.Clone(still[:at]), uint32(len(chunk)-4))
	animated = binary.BigEndian.AppendUint32(append(animated, chunk...), crc32.ChecksumIEEE(chunk))
	animated = append(animated, still[at:]...)
	files := map[string][]byte{"apng": animated}
	for _, name := range []string{"animated.gif", "animated.webp", "animated_lossy.webp", "palette.gif", "lossy.webp", "lossy_alpha.webp", "rgb.png"} {
		files[name], err = os.ReadFile("testdata/" + name)
		require.NoError(t, err)
	}
	for name, want := range map[string]string{
		"apng": "of an animation of 3 frames the first was taken", "animated.gif": "of an animation of 2 frames the first was taken",
		"animated.webp": "of an animation of 2 frames the first was taken", "animated_lossy.webp": "of an animation of 2 frames the first was taken",
		"palette.gif": "", "lossy.webp": "", "lossy_alpha.webp": "", "rgb.png": "",
	} {
		p, err := Decode(bytes.NewReader(files[name]), Options{})
		require.NoError(t, err, name)
		if want == "" {
			require.Empty(t, p.Notes, name)
		} else {
			require.Equal(t, []string{want}, p.Notes, name)
		}
	}
}
