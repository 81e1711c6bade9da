package picture

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// PNM, PCX, TGA, BMP, SGI, QOI, icons and cursors as Pillow reads them (testdata/plain/make.py).
func TestPlainFormats(t *testing.T) {
	wants, err := filepath.Glob("testdata/plain/*.want.png")
	require.NoError(t, err)
	require.Greater(t, len(wants), 50)
	for _, want := range wants {
		name := strings.TrimSuffix(want, ".want.png")
		t.Run(filepath.Base(name), func(t *testing.T) {
			got, err := Open(name, Options{})
			require.NoError(t, err)
			expected, err := Open(want, Options{})
			require.NoError(t, err)
			require.Equal(t, expected.Bounds(), got.Bounds())
			allowed := 0
			if strings.Contains(name, "five.bmp") || strings.Contains(name, "565") {
				allowed = 1
			}
			most, _ := worst(t, RGB(got), RGB(expected))
			require.LessOrEqual(t, most, allowed)
			require.Contains(t, "pnm pcx tga bmp sgi qoi ico dib", got.Format)

			// A file that is cut anywhere is an error, or a picture, and never costs much.
			data, err := os.ReadFile(name)
			require.NoError(t, err)
			for n := 1; n < len(data); n += 1 + len(data)/97 {
				_, _ = Decode(bytes.NewReader(data[:n]), Options{})
			}
			_, err = Decode(bytes.NewReader(data[:len(data)/2]), Options{})
			if !strings.Contains(name, "rle") && (!strings.Contains(name, ".pcx") || strings.Contains(name, "rgb")) { // they may leave pixels out
				require.ErrorIs(t, err, ErrTruncated)
			}
		})
	}
}

func TestDeepPNM(t *testing.T) {
	p, err := Open("testdata/plain/deep.pgm", Options{})
	require.NoError(t, err)
	require.Equal(t, 16, p.Bits)
	data, err := os.ReadFile("testdata/plain/deep.pgm")
	require.NoError(t, err)
	pix := data[len(data)-2*21*13:]
	for i, v := range rasterOf(p).U16 {
		require.Equal(t, uint16(pix[2*i])<<8|uint16(pix[2*i+1]), v)
	}
	p, err = Open("testdata/plain/grey.pfm", Options{Channels: []string{"1"}})
	require.NoError(t, err)
	require.IsType(t, &Float{}, p.Image)
}

// Raw pictures of Netpbm follow each other in a stream; in a file the first is taken.
func TestStreamOfPNM(t *testing.T) {
	var all []byte
	names := []string{"grey.pgm", "rgb.ppm", "bits.pbm", "deep.pgm", "rgba.pam", "bits.pam", "grey.pfm", "most31.ppm"}
	for _, name := range names {
		data, err := os.ReadFile("testdata/plain/" + name)
		require.NoError(t, err)
		all = append(all, data...)
	}
	s := NewStream(bytes.NewReader(all), Options{})
	for _, name := range names {
		got, err := s.Next()
		require.NoError(t, err, name)
		require.Empty(t, got.Notes, name)
		want, err := Open("testdata/plain/"+name, Options{})
		require.NoError(t, err)
		require.Equal(t, RGB(want), RGB(got), name)
	}
	_, err := s.Next()
	require.EqualError(t, err, "EOF")
	p, err := Decode(bytes.NewReader(all), Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"another picture follows in the file, and the first was taken: Stream reads all"}, p.Notes)
}

func TestPlainFormatsRefuse(t *testing.T) {
	for text, want := range map[string]string{
		"P5 4 4 255\n123": "too few", "P5 4 x 255\n1234": "where a number above 0", "P5 99999999 99999999 255\n1": "too large",
		"P2 2 1 9\n3 10 ": "sample 2 is not a number", "P2 2 1 9\n3   ": "end too early", "P6 1 1 70000\n123456": "greatest value of 70000",
		"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 9\nMAXVAL 255\nENDHDR\n123456789": "9 samples per pixel", "Pf 1 1 0\n1234": "where its scale should be",
	} {
		_, err := Decode(strings.NewReader(text), Options{})
		require.ErrorContains(t, err, want, text)
		var e *Error
		require.ErrorAs(t, err, &e)
	}
	_, err := Decode(strings.NewReader("P4 of Netpbm\n0123456789"), Options{})
	require.Error(t, err)
	_, err = Decode(strings.NewReader("no picture at all, but some text that is long enough for a header"), Options{})
	require.ErrorIs(t, err, ErrFormat)
}

func FuzzPlain(f *testing.F) {
	files, err := filepath.Glob("testdata/plain/*.*")
	require.NoError(f, err)
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, ".png") && !strings.HasSuffix(name, ".py") {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Options{MaxPixels: 1 << 18, MaxSide: 1 << 20}
		for _, format := range plainFormats {
			if len(data) < 128 || !format.is(data[:128]) {
				continue
			}
			bounded(t, len(data), func() int {
				d, err := format.decode(data, o)
				if err != nil {
					return 0
				}
				if len(d.U8)+len(d.U16)+len(d.F64) != d.Width*d.Height*d.Samples {
					t.Fatalf("%s: samples of %d×%d×%d are missing", format.name, d.Width, d.Height, d.Samples)
				}
				imageOf(d.turn.turned(d.Raster))
				return d.Width * d.Height
			})
		}
	})
}
