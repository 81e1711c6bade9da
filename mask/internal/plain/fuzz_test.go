package plain_test

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/diffusioninst/go/mask"
	"github.com/diffusioninst/go/mask/internal/plain"
)

// FuzzParseRLE feeds any text: it is refused, or it is what String writes.
func FuzzParseRLE(f *testing.F) {
	for _, s := range []string{"", "0", "4", "04", "112N", "511", "oooooo?", "1P", "PPPPPPP0", "\x00", "~", "Wca02Q54L4L4K6K4L4"} {
		f.Add(uint16(2), uint16(2), s)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		b := plain.Random(rng, 1+rng.IntN(30), 1+rng.IntN(30))
		f.Add(uint16(b.Width), uint16(b.Height), b.RLE().String())
	}
	f.Fuzz(func(t *testing.T, width, height uint16, s string) {
		r, err := mask.ParseRLE(int(width), int(height), s)
		if err != nil {
			return
		}
		if err := r.Validate(); err != nil {
			t.Fatalf("accepted: %v", err)
		}
		if len(r.Counts) > len(s) || cap(r.Counts) > len(s) {
			t.Fatalf("%d runs in %d places from %d characters", len(r.Counts), cap(r.Counts), len(s))
		}
		again := r.String()
		if again != s && len(again) >= len(s) { // only padded numbers may differ
			t.Fatalf("%q is written as %q", s, again)
		}
		back, err := mask.ParseRLE(int(width), int(height), again)
		if err != nil || !sameRLE(r, back) {
			t.Fatalf("%v becomes %v, %v", r, back, err)
		}
		if int(width)*int(height) < 1<<14 {
			checkMask(t, r.Bitmap(), r)
		}
	})
}

// FuzzCounts makes masks of any run lengths, zeros among them.
func FuzzCounts(f *testing.F) {
	f.Add(uint8(3), []byte{})
	f.Add(uint8(1), []byte{0, 1, 2, 3})
	f.Add(uint8(70), []byte{0, 200, 0, 0, 0, 70, 1, 1, 1})
	f.Add(uint8(64), []byte{64, 64, 64, 64})
	f.Fuzz(func(t *testing.T, height uint8, data []byte) {
		r := rleOf(height, data)
		back, err := mask.ParseRLE(r.Width, r.Height, r.String())
		if err != nil || !sameRLE(r, back) {
			t.Fatalf("%v becomes %v, %v", r, back, err)
		}
		checkMask(t, r.Bitmap(), r)
	})
}

// FuzzBitmap makes bitmaps of any bits.
func FuzzBitmap(f *testing.F) {
	f.Add(uint8(9), []byte{0x12, 0x34, 0x56})
	f.Add(uint8(65), []byte(strings.Repeat("\xff\x00\xf0", 40)))
	f.Add(uint8(130), []byte(strings.Repeat("\x55\xaa\x10", 60)))
	f.Fuzz(func(t *testing.T, width uint8, data []byte) {
		b := bitmapOf(width, data)
		r := b.RLE()
		checkMask(t, b, r)
		back, err := mask.ParseRLE(r.Width, r.Height, r.String())
		if err != nil || !back.Bitmap().Equal(b) {
			t.Fatalf("%v becomes %v, %v", r, back, err)
		}
		if !b.Transpose().Transpose().Equal(b) || !b.FlipHorizontal().FlipHorizontal().Equal(b) ||
			!b.Rotate90().Rotate270().Equal(b) || !b.Rotate90().Rotate90().Equal(b.Rotate180()) {
			t.Fatal("transforms do not undo each other")
		}
	})
}

// FuzzPolygons turns any bits into polygons and back, holes and all.
func FuzzPolygons(f *testing.F) {
	f.Add(uint8(5), []byte{0x1f, 0xa2, 0x6b, 0x98, 0xff})
	f.Add(uint8(16), []byte(strings.Repeat("\x55\x55\xaa\xaa", 8)))
	f.Add(uint8(8), []byte{0xff, 0x81, 0xbd, 0xa5, 0xbd, 0x81, 0xff})
	f.Fuzz(func(t *testing.T, width uint8, data []byte) {
		b := bitmapOf(width, data)
		r, err := mask.FromPolygons(b.Polygons(0), b.Width, b.Height)
		if err != nil || !sameRLE(r, b.RLE()) {
			t.Fatalf("%v becomes %v, %v", b.RLE(), r, err)
		}
		if _, err := mask.FromPolygons(b.Polygons(1), b.Width, b.Height); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzFromPolygon compares rasterised polygons with the plain drawing.
func FuzzFromPolygon(f *testing.F) {
	f.Add(uint8(9), uint8(9), uint8(1), []byte{0, 0, 10, 0, 10, 10, 0, 10})
	f.Add(uint8(20), uint8(5), uint8(7), []byte("any letters will"))
	f.Add(uint8(31), uint8(31), uint8(100), []byte{200, 3, 4, 200, 100, 100, 5, 6, 200, 3, 200, 3})
	f.Fuzz(func(t *testing.T, width, height, scale uint8, data []byte) {
		w, h := int(width%32)+1, int(height%32)+1
		polygon := make([]float64, min(len(data), 16))
		for i := range polygon {
			polygon[i] = (float64(data[i]) - 60) / (float64(scale)/10 + 1)
		}
		got, err := mask.FromPolygon(polygon, w, h)
		if len(polygon) < 6 || len(polygon)%2 != 0 {
			if err == nil {
				t.Fatalf("%v is accepted", polygon)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := plain.Polygon(polygon, w, h); !got.Bitmap().Equal(want) || !sameRLE(got, want.RLE()) {
			t.Fatalf("%v on %d×%d is %v, want %v", polygon, w, h, got, want.RLE())
		}
	})
}

// FuzzWildPolygon gives FromPolygon any numbers at all.
func FuzzWildPolygon(f *testing.F) {
	f.Add(uint16(9), uint16(9), binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN())))
	f.Add(uint16(300), uint16(2), []byte(strings.Repeat("\x00\x00\x00\x00\x00\x00\x59\x40", 8)))
	f.Fuzz(func(t *testing.T, width, height uint16, data []byte) {
		polygon := make([]float64, min(len(data)/8, 16))
		for i := range polygon {
			polygon[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		}
		r, err := mask.FromPolygon(polygon, int(width%1024), int(height))
		if err != nil {
			return
		}
		if err := r.Validate(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzMerge compares operations on runs with those on words.
func FuzzMerge(f *testing.F) {
	f.Add(uint8(3), []byte{1, 2, 3, 4}, []byte{2, 0, 2, 6})
	f.Add(uint8(64), []byte{64, 1, 63, 9}, []byte{0, 137})
	f.Fuzz(func(t *testing.T, height uint8, left, right []byte) {
		a, b := rleOf(height, left), rleOf(height, right)
		if a.Width != b.Width {
			width := max(a.Width, b.Width)
			a, b = widen(a, width), widen(b, width)
		}
		for _, intersect := range []bool{false, true} {
			merged, err := mask.Merge([]mask.RLE{a, b}, intersect)
			if err != nil {
				t.Fatal(err)
			}
			combine := mask.Union
			if intersect {
				combine = mask.Intersection
			}
			want, err := combine(a.Bitmap(), b.Bitmap())
			if err != nil || !sameRLE(merged, want.RLE()) {
				t.Fatalf("%v and %v, intersect %v: %v, want %v (%v)", a, b, intersect, merged, want.RLE(), err)
			}
		}
		iou, err := mask.IoU([]mask.RLE{a}, []mask.RLE{b}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := a.Bitmap().IoU(b.Bitmap()); err != nil || iou[0][0] != want {
			t.Fatalf("IoU %v, want %v (%v)", iou[0][0], want, err)
		}
	})
}

// rleOf reads run lengths from data, one byte a run, and fills up the last column.
func rleOf(height uint8, data []byte) mask.RLE {
	h := int(height%100) + 1
	r := mask.RLE{Height: h}
	sum := 0
	for _, c := range data[:min(len(data), 60)] {
		r.Counts = append(r.Counts, uint32(c))
		sum += int(c)
	}
	r.Width = max(1, (sum+h-1)/h)
	r.Counts = append(r.Counts, uint32(r.Width*h-sum))
	return r
}

// widen adds columns whose pixels are as in the last run.
func widen(r mask.RLE, width int) mask.RLE {
	r.Counts[len(r.Counts)-1] += uint32((width - r.Width) * r.Height)
	r.Width = width
	return r
}

// bitmapOf reads pixels from data, eight a byte.
func bitmapOf(width uint8, data []byte) *mask.Bitmap {
	w := int(width%140) + 1
	data = data[:min(len(data), 80)]
	b := mask.NewBitmap(w, (8*len(data)+w-1)/w)
	for i, v := range data {
		for ; v != 0; v &= v - 1 {
			pixel := 8*i + bits.TrailingZeros8(v)
			b.Set(pixel%w, pixel/w, true)
		}
	}
	return b
}

// checkMask holds both forms of one mask against each other.
func checkMask(t *testing.T, b *mask.Bitmap, r mask.RLE) {
	shortest := b.RLE()
	if !shortest.Bitmap().Equal(b) || !sameRLE(shortest, shortest.Bitmap().RLE()) {
		t.Fatalf("%v comes back as %v", shortest, shortest.Bitmap().RLE())
	}
	for i, c := range shortest.Counts {
		if c == 0 && i > 0 {
			t.Fatalf("%v has an empty run", shortest)
		}
	}
	if err := shortest.Validate(); err != nil {
		t.Fatal(err)
	}
	if b.Area() != r.Area() {
		t.Fatalf("areas %d and %d", b.Area(), r.Area())
	}
	box := b.Box()
	x, y, w, h := r.BBox()
	if float64(box.Min.X) != x || float64(box.Min.Y) != y || float64(box.Dx()) != w || float64(box.Dy()) != h {
		t.Fatalf("boxes %v and %v %v %v %v", box, x, y, w, h)
	}
	for i, word := range b.Words { // a word's bits are 64 pixels from a multiple of 64 on
		for x := (b.Rect.Min.X>>6 + i%b.Stride) << 6; word != 0; x, word = x+1, word>>1 {
			if word&1 != 0 && (x < b.Rect.Min.X || x >= b.Rect.Max.X) {
				t.Fatalf("bit of column %d is set, outside %v", x, b.Rect)
			}
		}
	}
}

func sameRLE(a, b mask.RLE) bool {
	if a.Width != b.Width || a.Height != b.Height || len(a.Counts) != len(b.Counts) {
		return false
	}
	for i, c := range a.Counts {
		if b.Counts[i] != c {
			return false
		}
	}
	return true
}
