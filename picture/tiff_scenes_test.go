package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// Scenes of an OME-TIFF file may differ in everything: a stack of two channels, a picture in
// colours, one channel.
func TestScenesOfSeveralKinds(t *testing.T) {
	var pages []tifftest.Page
	for i := range 4 {
		pages = append(pages, tifftest.Page{Width: 1, Height: 1, Photometric: 1, Planes: [][]byte{{byte(i)}}})
	}
	pages = append(pages, tifftest.Page{Width: 2, Height: 1, Samples: 3, Photometric: 2, Planes: [][]byte{{10, 20, 30, 40, 50, 60}}},
		tifftest.Page{Width: 1, Height: 2, Photometric: 1, Planes: [][]byte{{7, 8}}})
	image := func(c, z int, channels string, ifd, count int) string {
		return fmt.Sprintf(`<Image><Pixels DimensionOrder="XYCZT" SizeC="%d" SizeZ="%d" SizeT="1">%s<TiffData IFD="%d" PlaneCount="%d"/></Pixels></Image>`, c, z, channels, ifd, count)
	}
	pages[0].Description = `<OME>` + image(2, 2, `<Channel Name="DAPI"/><Channel Name="GFP"/>`, 0, 4) +
		image(3, 1, `<Channel SamplesPerPixel="3"/>`, 4, 1) + image(1, 1, "", 5, 1) + `</OME>`
	path := filepath.Join(t.TempDir(), "scenes.ome.tif")
	require.NoError(t, os.WriteFile(path, tifftest.Encode(binary.LittleEndian, false, pages...), 0o666))
	for _, c := range []struct {
		o        Options
		rgb      []byte
		channels []string
		notes    int
	}{
		{Options{Scene: 1, Z: 2}, []byte{2, 2, 2}, []string{"DAPI", "GFP"}, 1},
		{Options{Scene: 1, Z: 2, Channels: []string{"GFP"}}, []byte{3, 3, 3}, []string{"DAPI", "GFP"}, 0},
		{Options{Scene: 2}, []byte{10, 20, 30, 40, 50, 60}, colourNames, 0},
		{Options{Scene: 2, Channels: []string{"green"}}, []byte{20, 20, 20, 50, 50, 50}, colourNames, 0},
		{Options{Scene: 3}, []byte{7, 7, 7, 8, 8, 8}, greyNames, 0},
	} {
		p, err := Open(path, c.o)
		require.NoError(t, err, "%+v", c.o)
		require.Equal(t, c.rgb, RGB(p), "%+v", c.o)
		require.Equal(t, c.channels, p.Channels, "%+v", c.o)
		require.Len(t, p.Notes, c.notes, "%+v: %v", c.o, p.Notes)
	}
	all, err := Pages(path, Options{})
	require.NoError(t, err)
	require.Len(t, all, 6)
	for _, o := range all {
		p, err := Open(path, o)
		require.NoError(t, err)
		require.Empty(t, p.Notes)
	}
	all, err = Pages(path, Options{Channels: []string{"GFP"}}) // the other scenes are errors when they are read
	require.NoError(t, err)
	require.Len(t, all, 4)
	_, err = Open(path, all[2])
	require.ErrorIs(t, err, ErrChoice)
	all, err = Pages(path, Options{Channels: []string{"GFP"}, Scene: 1})
	require.NoError(t, err)
	require.Len(t, all, 2)
}

// Colours that were multiplied by alpha come out as Pillow gives them.
func TestPremultipliedAsPillow(t *testing.T) {
	for _, c := range []struct{ in, want []byte }{
		{[]byte{100, 50, 25, 128}, []byte{199, 99, 49}},
		{[]byte{9, 8, 7, 255}, []byte{9, 8, 7}},
		{[]byte{200, 8, 7, 16}, []byte{255, 127, 111}},
		{[]byte{200, 8, 7, 0}, []byte{0, 0, 0}},
	} {
		page := tifftest.Page{Width: 1, Height: 1, Samples: 4, Photometric: 2, Planes: [][]byte{c.in}, Tags: map[uint16]uint32{338: 1}}
		p, err := Decode(bytes.NewReader(tifftest.Encode(binary.LittleEndian, false, page)), Options{})
		require.NoError(t, err)
		require.Equal(t, c.want, RGB(p), c.in)
	}
}
