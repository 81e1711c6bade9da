package annotation

import (
	"image"
	"image/color"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Colours as in the files of PASCAL VOC 2012: aeroplane, bicycle, person, television, void.
func TestVOCColours(t *testing.T) {
	for n, want := range map[int]color.NRGBA{
		0: {0, 0, 0, 255}, 1: {128, 0, 0, 255}, 2: {0, 128, 0, 255}, 15: {192, 128, 128, 255}, 20: {0, 64, 128, 255}, 255: {224, 224, 192, 255},
	} {
		require.Equal(t, want, vocColour(n), "number %d", n)
	}
}

// A label map has the objects 1 and 2 and, around them, 255.
func TestVoid(t *testing.T) {
	var voc color.Palette
	for n := range 256 {
		voc = append(voc, vocColour(n))
	}
	plain := append(color.Palette(nil), voc...)
	plain[255] = color.White
	indexed := image.NewPaletted(image.Rect(0, 0, 40, 30), voc)
	for i := range indexed.Pix {
		switch x, y := i%40, i/40; {
		case x >= 5 && x < 15 && y >= 5 && y < 15:
			indexed.Pix[i] = 1
		case x >= 25 && x < 35 && y >= 5 && y < 15:
			indexed.Pix[i] = 2
		case x >= 4 && x < 36 && y >= 4 && y < 16:
			indexed.Pix[i] = 255
		}
	}
	other := &image.Paletted{Pix: indexed.Pix, Stride: 40, Rect: indexed.Rect, Palette: plain}
	grey8 := &image.Gray{Pix: indexed.Pix, Stride: 40, Rect: indexed.Rect}
	colours, foreign := image.NewNRGBA(indexed.Rect), image.NewNRGBA(indexed.Rect)
	for i, v := range indexed.Pix {
		colours.Set(i%40, i/40, voc[v])
		foreign.Set(i%40, i/40, voc[v])
		if v == 1 {
			foreign.Set(i%40, i/40, color.NRGBA{1, 2, 3, 255})
		}
	}
	many := &image.Paletted{Pix: append([]uint8(nil), indexed.Pix...), Stride: 40, Rect: indexed.Rect, Palette: voc}
	copy(many.Pix[29*40:], []uint8{254, 254, 254})
	const known, doubtful = "1 label maps have the colours of PASCAL VOC (the first is a_mask.png): their number 255 is void", "255 is read as an object; if it is void, make it 0"
	for _, c := range []struct {
		name    string
		img     image.Image
		objects int
		said    string
	}{
		{"palette of VOC", indexed, 2, known},
		{"another palette", other, 3, doubtful},
		{"grey", grey8, 3, doubtful},
		{"colours of VOC", colours, 2, known},
		{"other colours", foreign, 3, ""},
		{"254 is there, too", many, 4, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			grey(t, filepath.Join(folder, "a.png"), 40, 30)
			writePNG(t, filepath.Join(folder, "a_mask.png"), c.img)
			_, got, said := open(t, "labels", folder, Options{})
			require.Len(t, got.Instances, c.objects)
			require.Equal(t, 100, got.Instances[0].Mask.Area())
			if _, inColours := c.img.(*image.NRGBA); inColours { // which is said, too
				said = said[:len(said)-1]
			}
			if c.said == "" {
				require.Empty(t, said)
			} else {
				require.Len(t, said, 1)
				require.Contains(t, said[0], c.said)
			}
		})
	}
}

// The tag ColorMap of TIFF has all reds, then all greens, then all blues.
func TestVOCMap(t *testing.T) {
	m := make([]uint16, 3*256)
	for n := range 256 {
		c := vocColour(n)
		m[n], m[256+n], m[512+n] = uint16(c.R)*257, uint16(c.G)*257, uint16(c.B)*257
	}
	require.True(t, isVOCMap(m))
	m[511] = 0
	require.False(t, isVOCMap(m))
	require.False(t, isVOCMap(m[:48]))
}
