package jpeg

import (
	"bytes"
	"image"
	stdjpeg "image/jpeg"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/diffusioninst/go/internal/allocation"
)

func pictures(t testing.TB) []string {
	files, err := filepath.Glob("../../picture/testdata/*.jpg")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

// What image/jpeg reads is read alike, but for the rounding of the transform.
func TestAsTheStandardLibrary(t *testing.T) {
	for _, name := range pictures(t) {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		want, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			continue
		}
		got, err := Decode(data)
		require.NoError(t, err, name)
		if _, inks := got.(*YCCK); !inks {
			require.IsType(t, want, got, name)
		}
		require.Equal(t, want.Bounds(), got.Bounds())
		header, err := ReadHeader(data)
		require.NoError(t, err)
		w, h := header.Width, header.Height
		require.Equal(t, want.Bounds(), image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				a, b, c, d := want.At(x, y).RGBA()
				e, f, g, i := got.At(x, y).RGBA()
				for k, v := range [4]uint32{a, b, c, d} {
					require.InDelta(t, v>>8, [4]uint32{e, f, g, i}[k]>>8, 6, "%s (%d, %d)", name, x, y)
				}
			}
		}
	}
}

// Many goroutines give what one gives, and hand over each row once, with the chroma around it.
func TestRowsInParallel(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 601, 433), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(3, 4))
	for _, plane := range [][]uint8{m.Y, m.Cb, m.Cr} {
		for i := range plane {
			plane[i] = uint8(i*i/500 + r.IntN(40))
		}
	}
	var file bytes.Buffer
	require.NoError(t, stdjpeg.Encode(&file, m, nil))
	decode := func(workers int) (luma, chroma []uint8) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
		luma, chroma = make([]uint8, 601*433), make([]uint8, 601*433)
		var rows [433]atomic.Int32
		require.NoError(t, DecodeRows(file.Bytes(), func(img image.Image, from, to int) {
			m := img.(*image.YCbCr)
			for y := from; y < to; y++ {
				rows[y].Add(1)
				copy(luma[601*y:], m.Y[y*m.YStride:][:601])
				copy(chroma[601*y:], m.Cb[min(y/2+1, 216)*m.CStride:][:301])
				copy(chroma[601*y+301:], m.Cr[max(y/2-1, 0)*m.CStride:][:300])
			}
		}))
		for y := range rows {
			require.EqualValues(t, 1, rows[y].Load(), y)
		}
		return luma, chroma
	}
	luma, chroma := decode(1)
	for range 3 {
		moreLuma, moreChroma := decode(8)
		require.Equal(t, luma, moreLuma)
		require.Equal(t, chroma, moreChroma)
	}
}

// A header that promises more than the file can hold is refused before there is room for it.
func TestRoomIsBoundedByTheFile(t *testing.T) {
	data, err := os.ReadFile("../../picture/testdata/420.jpg")
	require.NoError(t, err)
	for _, progressive := range []bool{false, true} {
		bad := bytes.Clone(data)
		at := bytes.Index(bad, []byte{0xff, 0xc0})
		if progressive {
			bad[at+1] = 0xc2
		}
		copy(bad[at+5:], []byte{0xff, 0, 0xff, 0})
		used := allocation.Bytes(func() { _, err = Decode(bad) })
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Less(t, used, uint64(4*len(bad)+1<<20))
	}
}

// A scan of nine bytes goes through all blocks: there are only so many.
func TestScansAreBounded(t *testing.T) {
	segment := func(marker byte, data ...byte) []byte {
		return append([]byte{0xff, marker, 0, byte(len(data) + 2)}, data...)
	}
	file := func(scans int) []byte {
		ones := bytes.Repeat([]byte{1}, 64)
		codes := append([]byte{0, 1}, make([]byte, 16)...) // one code of one bit, for 0
		return slices.Concat([]byte{0xff, 0xd8}, segment(0xdb, append([]byte{0}, ones...)...), segment(0xc2, 8, 0, 8, 0, 8, 1, 1, 0x11, 0),
			segment(0xc4, codes...), bytes.Repeat(append(segment(0xda, 1, 1, 0, 0, 0, 0), 0), scans), []byte{0xff, 0xd9})
	}
	img, err := Decode(file(maxScans))
	require.NoError(t, err)
	require.Equal(t, image.Pt(8, 8), img.Bounds().Size())
	_, err = Decode(file(maxScans + 1))
	require.ErrorContains(t, err, "scans")
}

// The transform of pairs of numbers against plain arithmetic, for coefficients of any size that
// a file may have, and for those that take the short ways.
func TestTransform(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var q [64]uint16
	for i := range q {
		q[i] = 1
	}
	places := newDequantizer(&q)
	for range 3000 {
		var b block
		var plain [64]int32
		last := []int{0, 3, 9, 10, 30, 63}[r.IntN(6)]
		size := 1 << (2 + r.IntN(10))
		for k := range last + 1 {
			v := r.IntN(2*size) - size
			if k > 0 && r.IntN(3) > 0 {
				v = 0
			}
			b[places.at[k]] += int64(v) * places.factor[k]
			plain[zigzag[k]] = int32(v)
		}
		var got, want [64]uint8
		b.transform(last, got[:], 8)
		naive(&plain, &want)
		require.Equal(t, want, got)
	}
}

// naive is the transform of libjpeg's jidctint.c, a number at a time.
func naive(in *[64]int32, out *[64]uint8) {
	var work [64]int32
	for x := range 8 {
		var v [8]int32
		for y := range 8 {
			v[y] = in[8*y+x]
		}
		for y, s := range naiveLine(v, 11) {
			work[8*y+x] = s
		}
	}
	for y := range 8 {
		for x, s := range naiveLine([8]int32(work[8*y:]), 18) {
			out[8*y+x] = uint8(max(0, min(s+128, 255)))
		}
	}
}

func naiveLine(v [8]int32, shift int) (out [8]int32) {
	z := (v[2] + v[6]) * fix0541
	even2, even3 := z-v[6]*fix1847, z+v[2]*fix0765
	even0, even1 := (v[0]+v[4])<<13, (v[0]-v[4])<<13
	even := [4]int32{even0 + even3, even1 + even2, even1 - even2, even0 - even3}
	z1, z2, z3, z4 := v[7]+v[1], v[5]+v[3], v[7]+v[3], v[5]+v[1]
	z5 := (z3 + z4) * fix1175
	z1, z2, z3, z4 = -z1*fix0899, -z2*fix2562, z5-z3*fix1961, z5-z4*fix0390
	odd := [4]int32{v[1]*fix1501 + z1 + z4, v[3]*fix3072 + z2 + z3, v[5]*fix2053 + z2 + z4, v[7]*fix0298 + z1 + z3}
	half := int32(1) << (shift - 1)
	for i := range 4 {
		out[i], out[7-i] = (even[i]+odd[i]+half)>>shift, (even[i]-odd[i]+half)>>shift
	}
	return out
}

// Cut and damaged files are errors or pictures, and never panic.
func TestDamagedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range pictures(t) {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for range 60 {
			bad := bytes.Clone(data[:r.IntN(len(data))])
			for range r.IntN(4) {
				if len(bad) > 0 {
					bad[r.IntN(len(bad))] ^= byte(1 << r.IntN(8))
				}
			}
			if h, err := ReadHeader(bad); err == nil && h.Width*h.Height < 1<<16 {
				_, _ = Decode(bad)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range pictures(f) {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := ReadHeader(data); err != nil || h.Width*h.Height > 1<<16 {
			return
		}
		pixels := 0
		used := allocation.Bytes(func() {
			if img, err := Decode(data); err == nil {
				pixels = img.Bounds().Dx() * img.Bounds().Dy()
				if pixels == 0 {
					t.Fatal("no pixels")
				}
			}
		})
		if used > uint64(4*len(data)+32*pixels+16<<20) {
			t.Fatalf("%d bytes for %d pixels of a file of %d", used, pixels, len(data))
		}
	})
}
