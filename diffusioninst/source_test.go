package diffusioninst

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
	"github.com/diffusioninst/go/picture"
	"github.com/diffusioninst/go/torch"
)

// A picture that stays in its file gives the instances of one in memory: stretched over the whole
// picture, not over each tile.
func TestTilesOfAPictureInItsFile(t *testing.T) {
	const w, h = 300, 200
	rng := rand.New(rand.NewPCG(1, 2))
	plane := make([]byte, 0, 2*w*h)
	for y := range h {
		for x := range w {
			v := 400 + (x/40+y/30)%2*900 + rng.IntN(50)*(x+y)/100
			plane = binary.LittleEndian.AppendUint16(plane, uint16(v))
		}
	}
	path := filepath.Join(t.TempDir(), "a.tif")
	data := tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: w, Height: h, Bits: 16, Photometric: 1, Tile: 48, Compression: 50000, Planes: [][]byte{plane}})
	require.NoError(t, os.WriteFile(path, data, 0o666))
	c := small()
	c.Input = Input{Scale: 1}
	m, err := New(context.Background(), c, 3, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	for _, o := range []Options{{Score: -1, Tile: 96}, {Score: -1, Tile: 96, Normalize: "5,95"}, {Score: -1, Tile: -1}} {
		whole, err := picture.Open(path, picture.Options{})
		require.NoError(t, err)
		want, err := m.Segment(context.Background(), whole, o)
		require.NoError(t, err)
		require.NotEmpty(t, want.Instances)
		parts, err := picture.OpenSource(path, picture.Options{})
		require.NoError(t, err)
		got, err := m.Segment(context.Background(), parts, o)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NoError(t, parts.Close())
	}
	// A file that breaks off is an error of the picture.
	parts, err := picture.OpenSource(path, picture.Options{})
	require.NoError(t, err)
	require.NoError(t, parts.Close())
	_, err = m.Segment(context.Background(), parts, Options{Score: -1, Tile: 96})
	var e *ImageError
	require.ErrorAs(t, err, &e)
	var cause *picture.Error
	require.ErrorAs(t, err, &cause)
}
