package picture

import (
	"fmt"
	"image"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/internal/detectron2"
	"github.com/diffusioninst/go/internal/golden"
)

// The whole way from the file to the network's input size, against the reference's.
func TestGolden(t *testing.T) {
	golden.Each(t, golden.Model, func(t *testing.T, dir string) {
		config, _, err := detectron2.Load(filepath.Join(dir, "config.yaml"))
		require.NoError(t, err)
		f, err := checkpoint.Open(filepath.Join(dir, "golden.safetensors"))
		require.NoError(t, err)
		defer f.Close()
		tensor, ok := f.Tensor("input0.resized_hwc_u8")
		require.True(t, ok)
		want := make([]byte, tensor.Elements())
		require.NoError(t, tensor.ReadInto(want))

		img, err := Open(filepath.Join(dir, "image0.png"), Options{})
		require.NoError(t, err)
		w, h := img.Bounds().Dx(), img.Bounds().Dy()
		nw, nh := ShortestEdge(w, h, config.Input.MinSizeTest, config.Input.MaxSizeTest)
		require.Equal(t, []int64{int64(nh), int64(nw), 3}, tensor.Shape)
		most, off := worst(t, Resize(RGB(img), w, h, nw, nh), want)
		t.Logf("%d×%d → %d×%d: largest difference %d, off by more than 1: %.4f %% of the samples", w, h, nw, nh, most, 100*off)
		require.Zero(t, most, "the arithmetic is meant to be the same")

		other := image.NewRGBA(image.Rect(0, 0, nw, nh))
		draw.BiLinear.Scale(other, other.Rect, img, img.Bounds(), draw.Src, nil)
		most, off = worst(t, RGB(other), want)
		t.Logf("x/image/draw.BiLinear: largest difference %d, off by more than 1: %.4f %%", most, 100*off)
	})
}

func TestScale(t *testing.T) {
	for _, test := range []struct {
		w, h    int
		scale   float64
		longest int
		nw, nh  int
	}{
		{256, 320, 1, 0, 256, 320},
		{1388, 1040, 1, 1333, 1333, 999},
		{1388, 1040, 1, 1388, 1388, 1040},
		{101, 51, 0.5, 0, 51, 26},
		{100, 50, 1.5, 120, 120, 60},
		{20000, 1, 0.25, 100, 100, 1},
	} {
		nw, nh := Scale(test.w, test.h, test.scale, test.longest)
		require.Equal(t, [2]int{test.nw, test.nh}, [2]int{nw, nh}, "%+v", test)
	}
}

func TestShortestEdge(t *testing.T) {
	for _, test := range []struct{ w, h, short, longest, nw, nh int }{
		{640, 480, 800, 1333, 1067, 800},
		{480, 640, 800, 1333, 800, 1067},
		{1920, 1080, 800, 1333, 1333, 750},
		{1920, 1080, 800, 1500, 1422, 800},
		{500, 500, 800, 1333, 800, 800},
		{1, 1, 800, 1333, 800, 800},
		{1, 20000, 800, 1333, 1, 1333},
		{20000, 1, 800, 1333, 1333, 1},
		{640, 480, 0, 1333, 640, 480},
		{640, 480, 800, 0, 1067, 800},
	} {
		t.Run(fmt.Sprintf("%dx%d", test.w, test.h), func(t *testing.T) {
			w, h := ShortestEdge(test.w, test.h, test.short, test.longest)
			require.Equal(t, [2]int{test.nw, test.nh}, [2]int{w, h})
		})
	}
}

func TestResize(t *testing.T) {
	require.Equal(t, []uint8{1, 2, 3}, Resize([]uint8{1, 2, 3}, 1, 1, 1, 1))
	require.Equal(t, []uint8{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}, Resize([]uint8{1, 2, 3}, 1, 1, 2, 2))
	// Halving four pixels: the triangle has weights 1, 3, 3, 1 of 8, cut off at the ends.
	line := []uint8{0, 0, 0, 70, 70, 70, 140, 140, 140, 210, 210, 210}
	require.Equal(t, []uint8{50, 50, 50, 160, 160, 160}, Resize(line, 4, 1, 2, 1))
	require.Equal(t, []uint8{50, 50, 50, 160, 160, 160}, Resize(line, 1, 4, 1, 2))
	require.Nil(t, Resize(line, 4, 1, 0, 1))
	// White stays white however many weights are summed.
	white := make([]uint8, 3*20000)
	fill(white, 255)
	require.Equal(t, []uint8{255, 255, 255}, Resize(white, 20000, 1, 1, 1))
}

// Against what PIL made (testdata/make.py), shrinking as well as stretching.
func TestResizeAsPIL(t *testing.T) {
	source, err := Open("testdata/rgb.png", Options{})
	require.NoError(t, err)
	files, err := filepath.Glob("testdata/resized_*.png")
	require.NoError(t, err)
	require.Len(t, files, 6)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want, err := Open(name, Options{})
			require.NoError(t, err)
			got := Resize(RGB(source), source.Bounds().Dx(), source.Bounds().Dy(), want.Bounds().Dx(), want.Bounds().Dy())
			require.Equal(t, RGB(want), got)
		})
	}
}

// Any sizes, parts and types against a sum over taps, sample by sample; large pictures are
// resized in several goroutines.
func TestResizeSampleBySample(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	sizes := [][4]int{{1, 1, 5, 7}, {700, 500, 233, 167}, {700, 500, 701, 499}, {700, 500, 700, 90}, {37, 29, 12, 29}, {640, 480, 1067, 800}, {3000, 2, 1, 3}}
	for range 20 {
		sizes = append(sizes, [4]int{1 + r.IntN(90), 1 + r.IntN(70), 1 + r.IntN(90), 1 + r.IntN(70)})
	}
	for _, size := range sizes {
		w, h, nw, nh := size[0], size[1], size[2], size[3]
		img := image.NewNRGBA(image.Rect(0, 0, w+3, h+2))
		noise(img.Pix)
		sub := img.SubImage(image.Rect(2, 1, w+2, h+1))
		rgb := RGB(sub)
		want := plainResize(rgb, w, h, nw, nh)
		require.Equal(t, want, Resize(rgb, w, h, nw, nh), size)
		require.Equal(t, want, ResizeImage(sub, nw, nh), size)
		part := image.Rect(r.IntN(nw), r.IntN(nh), nw+1, nh)
		var cut []uint8
		for y := part.Min.Y; y < part.Max.Y; y++ {
			cut = append(cut, want[3*(y*nw+part.Min.X):3*(y+1)*nw]...)
		}
		require.Equal(t, cut, ResizePart(rgb, w, h, nw, nh, part), size)

		rgba := image.NewRGBA(sub.Bounds())
		draw.Draw(rgba, rgba.Rect, sub, rgba.Rect.Min, draw.Src)
		for _, opaque := range []bool{false, true} {
			for i := 3; opaque && i < len(rgba.Pix); i += 4 {
				rgba.Pix[i] = 255
			}
			want := plainResize(RGB(wrapped{rgba}), w, h, nw, nh)
			most, _ := worst(t, ResizeImage(rgba, nw, nh), want)
			require.LessOrEqual(t, most, 1, "At rounds alpha in its own way")
			require.Equal(t, Resize(RGB(rgba), w, h, nw, nh), ResizeImage(rgba, nw, nh))
		}
	}
}

func plainResize(rgb []uint8, w, h, nw, nh int) []uint8 {
	line := func(from []uint8, step int, t taps) uint8 {
		sum := int64(1 << (precision - 1))
		for k, weight := range t.weights {
			sum += int64(weight) * int64(from[(t.first+k)*step])
		}
		return uint8(min(sum>>precision, 255))
	}
	middle := make([]uint8, 0, 3*nw*h)
	for y := range h {
		for _, t := range triangle(w, nw) {
			for c := range 3 {
				middle = append(middle, line(rgb[3*w*y+c:], 3, t))
			}
		}
	}
	out := make([]uint8, 0, 3*nw*nh)
	for _, t := range triangle(h, nh) {
		for x := range 3 * nw {
			out = append(out, line(middle[x:], 3*nw, t))
		}
	}
	return out
}

// A picture of the caller's own type is read by one goroutine only.
func TestOwnTypesAreReadByOneGoroutine(t *testing.T) {
	img := &counting{Image: image.NewGray(image.Rect(0, 0, 500, 400))}
	RGB(img)
	ResizeImage(img, 100, 80)
	require.Zero(t, img.busy)
}

// counting is a picture whose At must not be called twice at a time: the race detector tells.
type counting struct {
	image.Image
	busy int
}

func (c *counting) At(x, y int) color.Color {
	c.busy++
	defer func() { c.busy-- }()
	return c.Image.At(x, y)
}

func ExampleShortestEdge() {
	fmt.Println(ShortestEdge(1920, 1080, 800, 1333))
	// Output: 1333 750
}

func ExampleResize() {
	img, err := Open(filepath.Join("testdata", "rgb.png"), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	w, h := ShortestEdge(img.Bounds().Dx(), img.Bounds().Dy(), 58, 100)
	fmt.Println(w, h, len(Resize(RGB(img), img.Bounds().Dx(), img.Bounds().Dy(), w, h)))
	// Output: 74 58 12876
}

func BenchmarkResize(b *testing.B) {
	img := image.NewRGBA(image.Rect(0, 0, 1920, 1080))
	noise(img.Pix)
	b.Run("RGB", func(b *testing.B) {
		rgb := RGB(img)
		for b.Loop() {
			Resize(rgb, 1920, 1080, 1422, 800)
		}
	})
	b.Run("ximage", func(b *testing.B) {
		out := image.NewRGBA(image.Rect(0, 0, 1422, 800))
		for b.Loop() {
			draw.BiLinear.Scale(out, out.Rect, img, img.Bounds(), draw.Src, nil)
		}
	})
}

func TestResizePartIsAPartOfTheWhole(t *testing.T) {
	const w, h = 41, 29
	rgb := make([]uint8, 3*w*h)
	for i := range rgb {
		rgb[i] = uint8(i * i * 31 >> 3)
	}
	for _, size := range []image.Point{{w, h}, {w, 60}, {90, h}, {17, 13}, {100, 7}, {1, 1}} {
		whole := Resize(rgb, w, h, size.X, size.Y)
		for _, part := range []image.Rectangle{
			{Max: size}, image.Rect(3, 2, 12, 7), image.Rect(-5, 4, 8, 500), image.Rect(0, 0, 1, 1), image.Rect(200, 0, 300, 4),
		} {
			var want []uint8
			in := part.Intersect(image.Rectangle{Max: size})
			for y := in.Min.Y; y < in.Max.Y; y++ {
				want = append(want, whole[3*(y*size.X+in.Min.X):3*(y*size.X+in.Max.X)]...)
			}
			require.Equal(t, want, ResizePart(rgb, w, h, size.X, size.Y, part), "%v of %v", part, size)
		}
	}
	require.Nil(t, ResizePart(nil, 0, 0, 5, 5, image.Rect(0, 0, 5, 5)))
}
