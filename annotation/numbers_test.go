package annotation

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// The numbers of a label map are what it stores, whatever colours they stand for.
func TestLabelMapsOfOtherColours(t *testing.T) {
	table := make([]uint16, 3*256) // a table whose background is not black, and in which labels look alike
	for i := range table {
		table[i] = 257 * uint16(40+i%256/2)
	}
	const white = 0
	for name, page := range map[string]tifftest.Page{
		"inverting table": {Width: 4, Height: 3, Photometric: white, Planes: [][]byte{{0, 0, 7, 7, 0, 9, 9, 7, 0, 9, 0, 0}}},
		"16 bits":         {Width: 4, Height: 3, Bits: 16, Photometric: white, Planes: [][]byte{{0, 0, 0, 0, 7, 0, 7, 0, 0, 0, 9, 0, 9, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0}}},
		"palette":         {Width: 4, Height: 3, Photometric: 3, Planes: [][]byte{{0, 0, 7, 7, 0, 9, 9, 7, 0, 9, 0, 0}}, Colours: table},
	} {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "a_masks.tif"), string(tifftest.Encode(binary.LittleEndian, false, page)))
		grey(t, filepath.Join(folder, "a.png"), 4, 3)
		_, got, said := open(t, "labels", folder, Options{})
		require.Empty(t, said, name)
		require.Len(t, got.Instances, 2, name)
		require.Equal(t, []int{3, 3}, []int{got.Instances[0].Mask.Area(), got.Instances[1].Mask.Area()}, name)
		require.True(t, got.Instances[0].Mask.Bitmap().Get(3, 1), name)
	}
	// Truth values, as tifffile writes them.
	folder := t.TempDir()
	bits := tifftest.Page{Width: 4, Height: 3, Bits: 1, Photometric: white, Planes: [][]byte{{0x20, 0x60, 0}}}
	write(t, filepath.Join(folder, "a_mask.tif"), string(tifftest.Encode(binary.LittleEndian, false, bits)))
	grey(t, filepath.Join(folder, "a.png"), 4, 3)
	_, got, said := open(t, "labels", folder, Options{})
	require.Len(t, got.Instances, 1)
	require.Equal(t, 3, got.Instances[0].Mask.Area())
	require.Len(t, said, 1, "black and white only")
}

// Label files end their lines in any of three ways.
func TestLinesOfYOLO(t *testing.T) {
	const a, b = "0 0.1 0.1 0.5 0.1 0.5 0.5", "0 0.5 0.5 0.9 0.5 0.9 0.9 "
	for text, lines := range map[string]int{a + "\n" + b + "\n": 3, a + "\r\n" + b + "\r\n\r\n": 4, a + "\r" + b + "\r": 3} {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "a.txt"), text)
		grey(t, filepath.Join(folder, "a.png"), 20, 20)
		_, got, said := open(t, "yolo", folder, Options{})
		require.Empty(t, said)
		require.Len(t, got.Instances, 2, "%q", text)
		write(t, filepath.Join(folder, "a.txt"), text+"x 0 0 1 1")
		_, err := Open(folder, Options{Format: "yolo"})
		require.ErrorContains(t, err, fmt.Sprintf("line %d: ", lines), "%q", text)
	}
}
