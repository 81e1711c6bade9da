package picture

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestStreamReadsOnePictureAfterTheOther(t *testing.T) {
	names := []string{"rgb.png", "420.jpg", "progressive.jpg", "rgb.bmp", "palette.gif", "animated.gif", "lossy.webp", "restart420.jpg", "orientation6.jpg", "animated.webp", "deep.png", "rgb.tiff"}
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		all = append(all, data...)
	}
	for _, r := range []io.Reader{bytes.NewReader(all), iotest.OneByteReader(bytes.NewReader(all))} {
		s := NewStream(r, Options{})
		for _, name := range names {
			want, err := Open("testdata/"+name, Options{})
			require.NoError(t, err)
			got, err := s.Next()
			require.NoError(t, err, name)
			require.Equal(t, RGB(want), RGB(got), name)
		}
		_, err := s.Next()
		require.Equal(t, io.EOF, err)
		_, err = s.Next()
		require.Equal(t, io.EOF, err)
	}
}

func TestStreamPassesOverPadding(t *testing.T) {
	one := encoded(t, 5, 4)
	s := NewStream(bytes.NewReader(bytes.Join([][]byte{{0}, one, make([]byte, 3000), one, {0, 0}}, nil)), Options{})
	for range 2 {
		_, err := s.Next()
		require.NoError(t, err)
	}
	_, err := s.Next()
	require.Equal(t, io.EOF, err)
}

func TestStreamLosesNothingBehindATIFF(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		return data
	}
	for _, name := range []string{"rgb.tiff", "tiff/u16_tiles_lzw.tif", "tiff/u16_big_endian.tif"} {
		for _, next := range []string{"rgb.tiff", "rgb.png", "420.jpg"} {
			_, err := NewStream(bytes.NewReader(append(read(name), read(next)...)), Options{}).Next()
			require.ErrorContains(t, err, "a picture follows a TIFF file", "%s %s", name, next)
		}
		_, err := NewStream(bytes.NewReader(append(read(name), 0, 0)), Options{}).Next()
		require.NoError(t, err, name)
	}
}

// What nothing marks the end of takes all that follows. A picture that is lost so is a warning.
func TestStreamSaysWhatItLoses(t *testing.T) {
	png := encoded(t, 5, 4)
	read := func(name string) []byte {
		data, err := os.ReadFile("testdata/plain/" + name)
		require.NoError(t, err)
		return data
	}
	const text = "P3\n2 1\n255\n1 2 3\n# Photo\n4 5 6\n"
	for name, c := range map[string]struct {
		data  []byte
		loses bool
	}{
		"QOI": {read("rgb.qoi"), false}, "QOI, PNG": {append(read("rgb.qoi"), png...), true}, "QOI, QOI": {append(read("rgb.qoi"), read("rgba.qoi")...), true},
		"text": {[]byte(text), false}, "text, text": {[]byte(text + text), true}, "text, raw": {[]byte(text + "P6 1 1 255 abc"), true},
		"text, PNG": {append([]byte(text), png...), true}, "TGA, PNG": {append(read("rgb.tga"), png...), true}, "icon": {read("rgb.ico"), false}, "icons": {read("several.ico"), false},
	} {
		s := NewStream(bytes.NewReader(c.data), Options{})
		p, err := s.Next()
		require.NoError(t, err, name)
		require.Equal(t, c.loses, len(p.Warnings) == 1, "%s: %v", name, p.Warnings)
		_, err = s.Next()
		require.Equal(t, io.EOF, err, name)
	}
}

func TestStreamGoesOnBehindABadPicture(t *testing.T) {
	good := encoded(t, 5, 4)
	bad := bytes.Clone(good)
	bad[45] ^= 1 // pixels, whose checksum is wrong then
	s := NewStream(bytes.NewReader(bytes.Join([][]byte{good, bad, good, good[:30]}, nil)), Options{})
	_, err := s.Next()
	require.NoError(t, err)
	_, err = s.Next()
	require.ErrorIs(t, err, ErrCorrupt)
	_, err = s.Next()
	require.NoError(t, err)
	_, err = s.Next()
	require.ErrorIs(t, err, ErrTruncated)
	_, err = s.Next()
	require.Equal(t, io.EOF, err)
	_, err = NewStream(iotest.ErrReader(os.ErrPermission), Options{}).Next()
	require.ErrorIs(t, err, os.ErrPermission)
	_, err = NewStream(bytes.NewReader(good), Options{MaxBytes: 20}).Next()
	require.ErrorIs(t, err, ErrTooLarge)
}

// repeated delivers the same bytes again and again.
type repeated struct {
	data []byte
	left int
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data[r.at:])
	if r.at += n; r.at == len(r.data) {
		r.at = 0
		r.left--
	}
	return n, nil
}

func TestStreamOfManyPicturesNeedsConstantMemory(t *testing.T) {
	const n = 10_000
	s := NewStream(&repeated{data: encoded(t, 16, 16), left: n}, Options{})
	var first, last runtime.MemStats
	for i := range n {
		if i == 100 {
			runtime.GC()
			runtime.ReadMemStats(&first)
		}
		_, err := s.Next()
		require.NoError(t, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&last)
	require.Less(t, int64(last.HeapAlloc)-int64(first.HeapAlloc), int64(4<<20))
	_, err := s.Next()
	require.Equal(t, io.EOF, err)
}

func FuzzStream(f *testing.F) {
	for _, name := range []string{"rgb.png", "420.jpg", "palette.gif", "rgb.bmp", "lossy.webp", "plain/rgba.pam", "plain/bits.pbm", "tiff/imagej.tif"} {
		data, err := os.ReadFile("testdata/" + name)
		require.NoError(f, err)
		f.Add(append(data, data...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := NewStream(bytes.NewReader(data), Options{MaxPixels: 1 << 16, MaxSide: 1 << 12})
		s.AllPages = true
		for i := 0; ; i++ {
			var err error
			bounded(t, len(data), func() int {
				var p *Picture
				p, err = s.Next()
				return pixelsRead(p, err)
			})
			if err == io.EOF {
				return
			}
			if i > len(data) {
				t.Fatal("it does not end")
			}
		}
	})
}

func ExampleStream() {
	file, err := os.Open("testdata/rgb.png") // or the output of ffmpeg -f image2pipe
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	for s := NewStream(file, Options{}); ; {
		p, err := s.Next()
		if err == io.EOF {
			return
		}
		fmt.Println(p.Bounds().Size(), err)
	}
	// Output: (37,29) <nil>
}
