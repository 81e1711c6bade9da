package mask_test

import (
	"fmt"
	"image"
	"testing"

	"github.com/diffusioninst/go/mask"
)

// scene draws count discs of the given radius on a COCO-sized picture.
func scene(count, radius int) []*mask.Bitmap {
	const width, height = 640, 480
	out := make([]*mask.Bitmap, count)
	for i := range out {
		cx, cy := i*211%width, i*97%height
		out[i] = mask.NewBitmap(width, height)
		for y := cy - radius; y <= cy+radius; y++ {
			for x := cx - radius; x <= cx+radius; x++ {
				if (x-cx)*(x-cx)+(y-cy)*(y-cy) <= radius*radius {
					out[i].Set(x, y, true)
				}
			}
		}
	}
	return out
}

func runLengths(masks []*mask.Bitmap) []mask.RLE {
	out := make([]mask.RLE, len(masks))
	for i, m := range masks {
		out[i] = m.RLE()
	}
	return out
}

// each runs f on a small and on a large object of a 640×480 picture.
func each(b *testing.B, f func(b *testing.B, m *mask.Bitmap)) {
	for _, radius := range []int{12, 200} {
		m := scene(2, radius)[1]
		b.Run(fmt.Sprintf("radius%d", radius), func(b *testing.B) {
			b.ReportAllocs()
			f(b, m)
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		for b.Loop() {
			m.RLE()
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		r := m.RLE()
		for b.Loop() {
			r.Bitmap()
		}
	})
}

func BenchmarkString(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		r := m.RLE()
		for b.Loop() {
			_ = r.String()
		}
	})
}

func BenchmarkParseRLE(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		s := m.RLE().String()
		for b.Loop() {
			if _, err := mask.ParseRLE(m.Width, m.Height, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPolygons(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		for b.Loop() {
			m.Polygons(1)
		}
	})
}

func BenchmarkFromPolygons(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		polygons := m.Polygons(1)
		for b.Loop() {
			if _, err := mask.FromPolygons(polygons, m.Width, m.Height); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBoundary(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		d := mask.BoundaryDistance(m.Width, m.Height, mask.BoundaryRatio)
		for b.Loop() {
			m.Boundary(d)
		}
	})
}

func BenchmarkTranspose(b *testing.B) {
	each(b, func(b *testing.B, m *mask.Bitmap) {
		for b.Loop() {
			m.Transpose()
		}
	})
}

// BenchmarkIoU compares 100 detections with 10 ground truths of one picture.
func BenchmarkIoU(b *testing.B) {
	dt, gt := runLengths(scene(100, 60)), runLengths(scene(10, 80))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mask.IoU(dt, gt, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBitmapIoU(b *testing.B) {
	masks := scene(2, 150)
	for b.Loop() {
		if _, err := masks[0].IoU(masks[1]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	masks := runLengths(scene(20, 60))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mask.Merge(masks, false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLabelMap(b *testing.B) {
	masks := scene(100, 30)
	for b.Loop() {
		if _, err := mask.LabelMap(640, 480, masks); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOverlay(b *testing.B) {
	masks := scene(200, 12)
	items := make([]mask.OverlayItem, len(masks))
	for i, m := range masks {
		items[i] = mask.OverlayItem{Mask: m, Label: fmt.Sprintf("nucleus %d", i)}
	}
	dst := image.NewRGBA(image.Rect(0, 0, 640, 480))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mask.Overlay(dst, items, mask.OverlayOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
