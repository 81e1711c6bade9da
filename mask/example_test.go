package mask_test

import (
	"fmt"
	"image"
	"log"
	"strings"

	"github.com/diffusioninst/go/mask"
)

// show prints a mask with a sign for every pixel.
func show(b *mask.Bitmap) {
	for y := range b.Height {
		line := []byte(strings.Repeat(".", b.Width))
		for x0, x1 := range b.Row(y) {
			copy(line[x0:x1], strings.Repeat("#", x1-x0))
		}
		fmt.Println(string(line))
	}
}

func ExampleBitmap() {
	b := mask.NewBitmap(12, 4)
	b.Fill(image.Rect(2, 1, 8, 3))
	b.Set(10, 0, true)
	show(b)
	fmt.Println(b.Area(), "pixels in", b.Box())
	// Output:
	// ..........#.
	// ..######....
	// ..######....
	// ............
	// 13 pixels in (2,0)-(11,3)
}

func ExampleParseRLE() {
	r, err := mask.ParseRLE(16, 7, "834000000000000010O00O1Od0")
	if err != nil {
		log.Fatal(err)
	}
	x, y, w, h := r.BBox()
	fmt.Println(r.Area(), "pixels,", w, "×", h, "at", x, y)
	_, err = mask.ParseRLE(16, 9, "834000000000000010O00O1Od0")
	fmt.Println(err)
	// Output:
	// 33 pixels, 12 × 4 at 1 1
	// mask: 25 runs cover 112 of the 144 pixels of a 16×9 mask
}

func ExampleFromPolygons() {
	// Two parts of one object, the second overlapping the first.
	polygons := [][]float64{
		{1, 1, 9, 1, 9, 4, 1, 4},
		{6, 2, 14, 2, 10, 6},
	}
	r, err := mask.FromPolygons(polygons, 16, 7)
	if err != nil {
		log.Fatal(err)
	}
	show(r.Bitmap())
	fmt.Println(r)
	// Output:
	// ................
	// .########.......
	// .############...
	// .###########....
	// .........##.....
	// ................
	// ................
	// 834000000000000010O00O1Od0
}

func ExampleBitmap_Parts() {
	b := mask.NewBitmap(12, 6)
	b.Fill(image.Rect(1, 1, 8, 5))
	for x := 3; x < 6; x++ {
		b.Set(x, 2, false)
	}
	b.Set(10, 4, true)
	for _, part := range b.Parts(0) {
		fmt.Println(part.Outer, part.Holes)
	}
	// For COCO, which knows no holes, a bridge ties the hole to the ring.
	for _, polygon := range b.Polygons(0) {
		fmt.Println(polygon)
	}
	back, err := mask.FromPolygons(b.Polygons(0), b.Width, b.Height)
	fmt.Println(back.Bitmap().Equal(b), err)
	// Output:
	// [1 1 8 1 8 5 1 5] [[3 2 3 3 6 3 6 2]]
	// [10 4 11 4 11 5 10 5] []
	// [1 1 3 2 3 3 6 3 6 2 3 2 1 1 8 1 8 5 1 5]
	// [10 4 11 4 11 5 10 5]
	// true <nil>
}

func ExampleMerge() {
	left, right := mask.NewBitmap(8, 2), mask.NewBitmap(8, 2)
	left.Fill(image.Rect(0, 0, 5, 2))
	right.Fill(image.Rect(3, 0, 8, 1))
	both, err := mask.Merge([]mask.RLE{left.RLE(), right.RLE()}, true)
	if err != nil {
		log.Fatal(err)
	}
	show(both.Bitmap())
	// Output:
	// ...##...
	// ........
}

func ExampleIoU() {
	detection, truth := mask.NewBitmap(10, 10), mask.NewBitmap(10, 10)
	detection.Fill(image.Rect(0, 0, 4, 5))
	truth.Fill(image.Rect(0, 0, 8, 10))
	dt, gt := []mask.RLE{detection.RLE()}, []mask.RLE{truth.RLE(), truth.RLE()}
	// The second ground truth is a crowd: being inside it is enough.
	iou, err := mask.IoU(dt, gt, []bool{false, true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(iou)
	// Output:
	// [[0.25 1]]
}

func ExampleBitmap_Boundary() {
	b := mask.NewBitmap(12, 6)
	b.Fill(image.Rect(2, 0, 11, 6))
	show(b.Boundary(1))
	// Output:
	// ..#########.
	// ..#.......#.
	// ..#.......#.
	// ..#.......#.
	// ..#.......#.
	// ..#########.
}

func ExampleLabelMap() {
	first, second := mask.NewBitmap(6, 2), mask.NewBitmap(6, 2)
	first.Fill(image.Rect(0, 0, 4, 2))
	second.Fill(image.Rect(3, 0, 6, 1))
	picture, err := mask.LabelMap(6, 2, []*mask.Bitmap{first, second})
	if err != nil {
		log.Fatal(err)
	}
	labels, masks, err := mask.SplitLabelMap(picture)
	if err != nil {
		log.Fatal(err)
	}
	for i, label := range labels {
		fmt.Println("label", label)
		show(masks[i].Bitmap())
	}
	// Output:
	// label 1
	// ###...
	// ####..
	// label 2
	// ...###
	// ......
}

func ExampleOverlay() {
	picture := image.NewRGBA(image.Rect(0, 0, 320, 240))
	m := mask.NewBitmap(320, 240)
	m.Fill(image.Rect(100, 80, 200, 160))
	items := []mask.OverlayItem{{Mask: m, Box: m.Box(), Label: "cat 0.97"}}
	overlay, err := mask.Overlay(picture, items, mask.OverlayOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(overlay.RGBAAt(100, 120), overlay.RGBAAt(10, 10))
	// Output:
	// {230 159 0 255} {0 0 0 0}
}

func ExampleBox() {
	found := mask.Box{X1: 8.6, Y1: 10, X2: 30.2, Y2: 40}
	truth := mask.BoxXYWH([4]float64{10, 10, 20, 30})
	fmt.Println(found, found.Area())
	fmt.Printf("IoU %.3f\n", found.IoU(truth))
	fmt.Println("pixels:", found.Pixels(64, 48))
	fmt.Println("mirrored:", found.FlipX(64))
	// Output:
	// 8.6,10.0–30.2,40.0 648
	// IoU 0.926
	// pixels: (9,10)-(30,40)
	// mirrored: 33.8,10.0–55.4,40.0
}
