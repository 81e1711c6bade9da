package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// worst is how far the pictures are apart: the largest difference of a sample and
// the part of samples that differ by more than one level.
func worst(t *testing.T, got, want []uint8) (most int, off float64) {
	t.Helper()
	require.Equal(t, len(want), len(got))
	count := 0
	for i := range want {
		d := int(got[i]) - int(want[i])
		d = max(d, -d)
		most = max(most, d)
		if d > 1 {
			count++
		}
	}
	return most, float64(count) / float64(max(len(want), 1))
}

// Every file of testdata against what PIL reads from it (testdata/make.py).
func TestDecodeAsPIL(t *testing.T) {
	wants, err := filepath.Glob("testdata/*.want.png")
	require.NoError(t, err)
	require.Len(t, wants, 53)
	for _, want := range wants {
		name := strings.TrimSuffix(want, ".want.png")
		t.Run(filepath.Base(name), func(t *testing.T) {
			got, err := Open(name, Options{})
			require.NoError(t, err)
			expected, err := Open(want, Options{})
			require.NoError(t, err)
			require.Equal(t, expected.Bounds(), got.Bounds())
			opaque, ok := got.Image.(interface{ Opaque() bool })
			require.True(t, ok && opaque.Opaque())
			require.Equal(t, RGB(expected), RGB(got))
		})
	}
}

func encoded(t testing.TB, w, h int) []byte {
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))))
	return b.Bytes()
}

func TestDecodeErrors(t *testing.T) {
	small := encoded(t, 20, 10)
	var lossy bytes.Buffer
	require.NoError(t, jpeg.Encode(&lossy, image.NewGray(image.Rect(0, 0, 64, 64)), nil))
	// A header that claims 60000 × 60000 without the pixels.
	claims := bytes.Clone(small)
	copy(claims[16:24], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
	for name, test := range map[string]struct {
		data   []byte
		limits Options
		kind   error
		text   string
	}{
		"empty":            {nil, Options{}, ErrEmpty, "no bytes"},
		"text":             {[]byte("hello, this is not a picture"), Options{}, ErrFormat, ""},
		"one byte":         {[]byte{0xff}, Options{}, ErrFormat, ""},
		"header cut":       {small[:20], Options{}, ErrTruncated, ""},
		"pixels cut":       {small[:len(small)-20], Options{}, ErrTruncated, ""},
		"JPEG cut":         {lossy.Bytes()[:lossy.Len()-30], Options{}, ErrTruncated, ""},
		"end of JPEG cut":  {lossy.Bytes()[:lossy.Len()-2], Options{}, ErrTruncated, ""},
		"JPEG in pieces":   {append(bytes.Clone(lossy.Bytes()[:lossy.Len()-12]), 0xff, 0xd9), Options{}, ErrCorrupt, ""},
		"JPEG header cut":  {lossy.Bytes()[:100], Options{}, ErrTruncated, ""},
		"JPEG side":        {lossy.Bytes(), Options{MaxSide: 63}, ErrTooLarge, "64×64 pixels, the limit is 63 per side"},
		"side":             {small, Options{MaxSide: 19}, ErrTooLarge, "20×10 pixels, the limit is 19 per side"},
		"pixels":           {small, Options{MaxPixels: 199}, ErrTooLarge, "20×10 pixels, the limit is 199"},
		"bytes":            {small, Options{MaxBytes: 30}, ErrTooLarge, "the limit is 30"},
		"claims of header": {claims, Options{}, ErrCorrupt, ""}, // the header's checksum is wrong now
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(test.data), bytes.NewBuffer(test.data)} {
				_, err := Decode(r, test.limits)
				require.ErrorIs(t, err, test.kind)
				var typed *Error
				require.ErrorAs(t, err, &typed)
				if _, seeks := r.(io.Seeker); seeks {
					require.ErrorContains(t, err, test.text)
				}
			}
		})
	}
}

// A size beyond the limits is refused from the header: no pixel follows it here.
func TestDecodeTooLargeFromHeader(t *testing.T) {
	// Width and height of a BMP stand at bytes 18 and 22, without a checksum.
	header := make([]byte, 54)
	copy(header, "BM")
	header[10], header[14] = 54, 40
	header[20], header[24] = 1, 1 // 65536 × 65536
	header[26], header[28] = 1, 24
	_, err := Decode(bytes.NewReader(header), Options{})
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "65536×65536 pixels")
}

func TestDecodeReadError(t *testing.T) {
	_, err := Decode(iotest.ErrReader(fs.ErrPermission), Options{})
	require.ErrorIs(t, err, ErrRead)
	require.ErrorIs(t, err, fs.ErrPermission)
}

func TestDecodeFromMiddle(t *testing.T) {
	r := bytes.NewReader(append([]byte("before"), encoded(t, 3, 2)...))
	_, err := r.Seek(6, io.SeekStart)
	require.NoError(t, err)
	img, err := Decode(r, Options{})
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 3, 2), img.Bounds())
}

func TestOpenErrors(t *testing.T) {
	_, err := Open("testdata/none.png", Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "picture: testdata/none.png: cannot be read: no such file or directory")
	_, err = Open("testdata", Options{})
	require.EqualError(t, err, "picture: testdata: cannot be read: it is a folder")
	_, err = Open("testdata/make.py", Options{})
	require.EqualError(t, err, "picture: testdata/make.py: not a picture of a known format")
	_, err = Open(os.DevNull, Options{})
	require.ErrorIs(t, err, ErrEmpty)
}

func TestThinPictures(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 20000}, {20000, 1}, {2, 3}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			img, err := Decode(bytes.NewReader(encoded(t, size[0], size[1])), Options{})
			require.NoError(t, err)
			w, h := ShortestEdge(size[0], size[1], 800, 1333)
			require.Positive(t, w)
			require.Positive(t, h)
			require.Len(t, Resize(RGB(img), size[0], size[1], w, h), 3*w*h)
		})
	}
}

// The first frame of a GIF may be smaller than the GIF.
func TestGIFFrameWithinCanvas(t *testing.T) {
	palette := color.Palette{color.Black, color.RGBA{200, 100, 50, 255}}
	frame := image.NewPaletted(image.Rect(2, 1, 4, 3), palette)
	for i := range frame.Pix {
		frame.Pix[i] = 1
	}
	var b bytes.Buffer
	require.NoError(t, gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0},
		Config: image.Config{ColorModel: palette, Width: 6, Height: 5}}))
	img, err := Decode(&b, Options{})
	require.NoError(t, err)
	want := image.NewRGBA(image.Rect(0, 0, 6, 5))
	draw.Draw(want, want.Rect, image.Black, image.Point{}, draw.Src)
	draw.Draw(want, image.Rect(2, 1, 4, 3), image.NewUniform(palette[1]), image.Point{}, draw.Src)
	require.Equal(t, want.Pix, img.Image.(*image.RGBA).Pix)
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	require.NoError(f, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		if len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Fuzz(fuzzDecode)
}

// fuzzDecode decodes data. Whatever the data, there must be a typed error or a picture
// within the limits.
func fuzzDecode(t *testing.T, data []byte) {
	limits := Options{MaxPixels: 1 << 23, MaxSide: 1 << 14} // more than the bound on what is allocated
	var img *Picture
	var err error
	bounded(t, len(data), func() int {
		img, err = Decode(bytes.NewReader(data), limits)
		return pixelsRead(img, err)
	})
	if err != nil {
		var typed *Error
		require.ErrorAs(t, err, &typed)
		return
	}
	b := img.Bounds()
	if b.Empty() || b.Dx()*b.Dy() > limits.MaxPixels {
		t.Fatalf("picture of %v", b)
	}
	require.Len(t, RGB(img), 3*b.Dx()*b.Dy())
}

func TestNegativeBoundsAreNone(t *testing.T) {
	data := encoded(t, 20, 10)
	_, err := Decode(bytes.NewReader(data), Options{MaxPixels: 1})
	require.ErrorIs(t, err, ErrTooLarge)
	img, err := Decode(io.MultiReader(bytes.NewReader(data)), Options{MaxPixels: -1, MaxSide: -1, MaxBytes: -1})
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 20, 10), img.Bounds())
}
