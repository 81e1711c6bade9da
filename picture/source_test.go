package picture

import (
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/tiff/tifftest"
)

// part is what a picture has in r.
func part(t *testing.T, img image.Image, r image.Rectangle) image.Image {
	t.Helper()
	if f, ok := img.(*Float); ok {
		out := &Float{Samples: f.Samples, Rect: r}
		for y := r.Min.Y; y < r.Max.Y; y++ {
			out.Pix = append(out.Pix, f.Pix[(y*f.Rect.Dx()+r.Min.X)*f.Samples:][:r.Dx()*f.Samples]...)
		}
		return out
	}
	out := map[color.Model]func(image.Rectangle) draw.Image{
		color.RGBAModel:   func(r image.Rectangle) draw.Image { return image.NewRGBA(r) },
		color.Gray16Model: func(r image.Rectangle) draw.Image { return image.NewGray16(r) },
		color.RGBA64Model: func(r image.Rectangle) draw.Image { return image.NewRGBA64(r) },
	}[img.ColorModel()](r)
	draw.Draw(out, r, img, r.Min, draw.Src)
	return out
}

// What programs wrote is the same in parts as in memory, with every way to bring it to 8 bits.
func TestSourceIsThePictureInMemory(t *testing.T) {
	files, err := filepath.Glob("testdata/tiff/*.tif*")
	require.NoError(t, err)
	require.Greater(t, len(files), 60)
	rng := rand.New(rand.NewPCG(1, 2))
	read := 0
	for _, path := range files {
		for _, o := range []Options{{}, {Page: 1}, {Normalize: Auto}, {Normalize: None}, {Normalize: "1,98"}, {MaxZ: true, Normalize: "5,90"}, {Page: 2}} {
			want, err := Open(path, o)
			if err != nil {
				_, err := OpenSource(path, o)
				require.Error(t, err, path)
				continue
			}
			got, err := OpenSource(path, o)
			if err != nil && strings.Contains(err.Error(), "read in parts") {
				continue
			}
			require.NoError(t, err, "%s %+v", path, o)
			read++
			s := got.Image.(*Source)
			b := want.Bounds()
			require.Equal(t, b, got.Bounds(), path)
			require.Equal(t, [][]string{want.Notes, want.Warnings, want.Channels}, [][]string{got.Notes, got.Warnings, got.Channels}, path)
			require.Equal(t, [2]int{want.Page, want.Pages}, [2]int{got.Page, got.Pages})
			for k := range 3 {
				r := b
				if k > 0 {
					x, y := rng.IntN(b.Dx()), rng.IntN(b.Dy())
					r = image.Rect(x, y, x+1+rng.IntN(b.Dx()-x), y+1+rng.IntN(b.Dy()-y))
				}
				m, err := s.Region(r)
				require.NoError(t, err, path)
				require.Equal(t, r, m.Bounds(), path)
				expected := part(t, want.Image, r)
				if f, ok := m.(*Float); ok { // what At shows as black is the region's own
					expected.(*Float).Black, expected.(*Float).White = f.Black, f.White
					require.Equal(t, digest(expected.(*Float).Pix), digest(f.Pix), path)
					continue
				}
				require.Equal(t, expected, m, "%s %+v %v", path, o, r)
			}
			a, c := want.Samples(), got.Samples()
			require.Equal(t, len(a), len(c))
			for i := range a {
				x, y := make([]float64, b.Dx()), make([]float64, b.Dx())
				a[i].Samples(x, 0, b.Dy()-1)
				c[i].Samples(y, 0, b.Dy()-1)
				require.Equal(t, digest(x), digest(y))
			}
			require.NoError(t, got.Close())
		}
	}
	require.Greater(t, read, 200)
}

// All eight ways to lie.
func TestTurnedSource(t *testing.T) {
	plane := make([]byte, 30*20)
	for i := range plane {
		plane[i] = byte(i)
	}
	for o := range uint32(9) {
		path := filepath.Join(t.TempDir(), "a.tif")
		data := tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 30, Height: 20, Photometric: 1, Planes: [][]byte{plane}, Tags: map[uint16]uint32{274: o}})
		require.NoError(t, os.WriteFile(path, data, 0o666))
		want, err := Open(path, Options{})
		require.NoError(t, err)
		got, err := OpenSource(path, Options{})
		require.NoError(t, err)
		require.Equal(t, want.Bounds(), got.Bounds())
		for _, r := range []image.Rectangle{want.Bounds(), image.Rect(3, 5, 9, 17), image.Rect(0, 0, 2, 3)} {
			m, err := got.Image.(*Source).Region(r)
			require.NoError(t, err)
			require.Equal(t, part(t, want.Image, r), m, "orientation %d", o)
		}
		require.Equal(t, want.At(4, 6), got.At(4, 6))
		require.NoError(t, got.Close())
	}
}

// A file beyond the limits, of tiles that are left out.
func TestSourceBeyondTheLimits(t *testing.T) {
	dir := t.TempDir()
	const w, h, tile = 70_000, 2_000, 1_000
	n := w / tile * ((h + tile - 1) / tile)
	page := tifftest.Page{Width: w, Height: h, Bits: 16, Photometric: 1, Empty: n, Tile: tile}
	path := filepath.Join(dir, "a.tif")
	require.NoError(t, os.WriteFile(path, tifftest.Encode(binary.LittleEndian, true, page), 0o666))
	_, err := Open(path, Options{})
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, ErrTooLarge, e.Kind)
	p, err := OpenSource(path, Options{Normalize: "0v,100v"})
	require.NoError(t, err)
	defer p.Close()
	require.Equal(t, image.Rect(0, 0, w, h), p.Bounds())
	m, err := p.Image.(*Source).Region(image.Rect(69_990, 1_990, w, h))
	require.NoError(t, err)
	require.Equal(t, image.Rect(69_990, 1_990, w, h), m.Bounds())
}

// The smaller copies of a slide are pages behind it, or in its SubIFDs.
func TestLevels(t *testing.T) {
	pages, listed := make([]tifftest.Page, 3), make([]tifftest.Page, 2)
	for i := range pages {
		w, h := 64>>i, 48>>i
		plane := make([]byte, w*h)
		for k := range plane {
			plane[k] = byte(100*i + k%90)
		}
		pages[i] = tifftest.Page{Width: w, Height: h, Photometric: 1, Tile: 16, Planes: [][]byte{plane}, Tags: map[uint16]uint32{254: uint32(min(i, 1))}}
	}
	chain := tifftest.Encode(binary.LittleEndian, false, pages...)
	// The second directory as a SubIFD of the first.
	copy(listed, pages)
	listed[0].Tags = map[uint16]uint32{330: 0}
	sub := tifftest.Encode(binary.LittleEndian, false, listed...)
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	first := int(u32(sub[4:]))
	n := int(u16(sub[first:]))
	link := sub[first+2+12*n:][:4]
	for i := range n {
		if e := sub[first+2+12*i:][:12]; u16(e) == 330 {
			copy(e[8:], link)
		}
	}
	copy(link, make([]byte, 4))
	for name, file := range map[string][]byte{"pages": chain, "SubIFDs": sub} {
		path := filepath.Join(t.TempDir(), "a.tif")
		require.NoError(t, os.WriteFile(path, file, 0o666))
		for level, page := range pages[:2] {
			for _, open := range []func(string, Options) (*Picture, error){Open, OpenSource} {
				p, err := open(path, Options{Level: level})
				require.NoError(t, err, "%s %d", name, level)
				require.Equal(t, image.Rect(0, 0, page.Width, page.Height), p.Bounds(), name)
				r, _, _, _ := p.At(5, 0).RGBA()
				require.EqualValues(t, page.Planes[0][5], r>>8, name)
				require.NoError(t, p.Close())
			}
		}
		_, err := Open(path, Options{Level: 3})
		require.ErrorContains(t, err, "there is no level 3", name)
		_, err = Open(path, Options{Level: -1})
		require.ErrorContains(t, err, "level -1", name)
	}
	_, err := Open("testdata/grey.jpg", Options{Level: 1})
	require.ErrorContains(t, err, "there is no level 1: only TIFF files have smaller copies")
}

func TestSourcesThatAreRefused(t *testing.T) {
	_, err := OpenSource("testdata/grey.jpg", Options{})
	require.ErrorContains(t, err, "testdata/grey.jpg")
	require.ErrorContains(t, err, "only TIFF files can be read in parts")
	_, err = OpenSource(filepath.Join(t.TempDir(), "none.tif"), Options{})
	require.ErrorIs(t, err, os.ErrNotExist)

	// A damaged strip in the middle is an error of the stretch that needs it.
	path := filepath.Join(t.TempDir(), "a.tif")
	data := tifftest.Encode(binary.LittleEndian, false, tifftest.Page{Width: 64, Height: 600, Bits: 16, Photometric: 1, Rows: 100, Compression: 50000, Planes: [][]byte{make([]byte, 64*600*2)}})
	p, err := OpenSource(path, Options{})
	require.Error(t, err)
	require.Nil(t, p)
	at := len(data) / 3
	for i := range 12 {
		data[at+i] ^= 0x5a
	}
	require.NoError(t, os.WriteFile(path, data, 0o666))
	if _, err = OpenSource(path, Options{Normalize: Auto}); err != nil {
		var e *Error
		require.ErrorAs(t, err, &e)
	}
}
