package mask

import (
	"fmt"
	"image"
	"math"
)

// A Box is a rectangle in pixels of a picture: the upper left corner (X1, Y1) and the
// lower right corner (X2, Y2), fractions kept. Pixel (x, y) is the box x, y, x+1, y+1.
//
// A box whose right edge is not right of its left one, whose lower edge is not below its
// upper one, or which has a NaN for an edge, is empty: it has no area and no pixels, and
// overlaps nothing.
type Box struct{ X1, Y1, X2, Y2 float32 }

// BoxOf returns the box that covers a range of pixels.
func BoxOf(r image.Rectangle) Box {
	return Box{float32(r.Min.X), float32(r.Min.Y), float32(r.Max.X), float32(r.Max.Y)}
}

// BoxXYWH returns the box of COCO's form: x, y, width, height.
func BoxXYWH(b [4]float64) Box {
	return Box{float32(b[0]), float32(b[1]), float32(b[0] + b[2]), float32(b[1] + b[3])}
}

// XYWH returns the box in COCO's form: x, y, width, height.
func (b Box) XYWH() [4]float64 {
	return [4]float64{float64(b.X1), float64(b.Y1), float64(b.Width()), float64(b.Height())}
}

// String returns the corners with one digit after the point.
func (b Box) String() string { return fmt.Sprintf("%.1f,%.1f–%.1f,%.1f", b.X1, b.Y1, b.X2, b.Y2) }

// Width returns the horizontal size, which is negative if the edges are swapped.
func (b Box) Width() float32 { return b.X2 - b.X1 }

// Height returns the vertical size, which is negative if the edges are swapped.
func (b Box) Height() float32 { return b.Y2 - b.Y1 }

// Empty reports whether the box has no area.
func (b Box) Empty() bool { return !(b.X2 > b.X1 && b.Y2 > b.Y1) }

// Area returns the area in pixels, 0 if the box is empty.
func (b Box) Area() float32 {
	if b.Empty() {
		return 0
	}
	return b.Width() * b.Height()
}

// IoU returns the intersection over union of two boxes, 0 to 1, and 0 if either is empty.
func (b Box) IoU(o Box) float32 {
	iou, _ := b.overlap(o)
	return iou
}

// GIoU returns the IoU of two boxes and the generalised IoU, −1 to 1, which also says how
// far apart boxes without a common area are: IoU − (H−U)/H, where U is the area of the
// union and H that of the smallest box around both (Rezatofighi et al. 2019). It is 0 if
// H is 0 or not finite.
func (b Box) GIoU(o Box) (iou, giou float32) {
	iou, union := b.overlap(o)
	w, h := max(b.X2, o.X2)-min(b.X1, o.X1), max(b.Y2, o.Y2)-min(b.Y1, o.Y1)
	hull := max(w, 0) * max(h, 0)
	if !(hull > 0 && hull <= math.MaxFloat32) {
		return iou, 0
	}
	return iou, iou - (hull-union)/hull
}

// overlap returns the IoU and the area of the union of two boxes. Sums and products are
// variables because a compiler may not fuse over an assignment, which would round
// differently.
func (b Box) overlap(o Box) (iou, union float32) {
	areaB, areaO := b.Area(), o.Area()
	w, h := min(b.X2, o.X2)-max(b.X1, o.X1), min(b.Y2, o.Y2)-max(b.Y1, o.Y1)
	common := max(w, 0) * max(h, 0)
	union = areaB + areaO - common
	if !(common > 0 && union <= math.MaxFloat32) {
		return 0, areaB + areaO
	}
	return common / union, union
}

// Clip returns the part of the box that lies on a picture of width × height pixels. Of a
// box beside the picture it leaves an empty one on the picture's edge.
func (b Box) Clip(width, height int) Box {
	w, h := float32(width), float32(height)
	return Box{min(max(b.X1, 0), w), min(max(b.Y1, 0), h), min(max(b.X2, 0), w), min(max(b.Y2, 0), h)}
}

// Shift returns the box moved by dx to the right and dy down.
func (b Box) Shift(dx, dy float32) Box { return Box{b.X1 + dx, b.Y1 + dy, b.X2 + dx, b.Y2 + dy} }

// Scale returns the box in the picture enlarged sx times in width and sy times in height.
func (b Box) Scale(sx, sy float32) Box { return Box{b.X1 * sx, b.Y1 * sy, b.X2 * sx, b.Y2 * sy} }

// Affine returns the box scaled by sx and sy, then moved by dx and dy. It rounds only once,
// at the end, which Scale followed by Shift does not.
func (b Box) Affine(sx, sy, dx, dy float64) Box {
	return Box{
		float32(float64(b.X1)*sx + dx), float32(float64(b.Y1)*sy + dy),
		float32(float64(b.X2)*sx + dx), float32(float64(b.Y2)*sy + dy),
	}
}

// FlipX returns the box in the picture mirrored left to right, which is width pixels wide.
func (b Box) FlipX(width int) Box {
	w := float32(width)
	return Box{w - b.X2, b.Y1, w - b.X1, b.Y2}
}

// FlipY returns the box in the picture mirrored top to bottom, which is height pixels high.
func (b Box) FlipY(height int) Box {
	h := float32(height)
	return Box{b.X1, h - b.Y2, b.X2, h - b.Y1}
}

// Outer returns the smallest range of whole pixels that covers the box. Edges beyond ±2³⁰
// are moved there; an edge that is not a number gives the empty range.
func (b Box) Outer() image.Rectangle {
	if b != b {
		return image.Rectangle{}
	}
	edge := func(v float64) int { return int(min(max(v, -1<<30), 1<<30)) }
	return image.Rect(
		edge(math.Floor(float64(b.X1))), edge(math.Floor(float64(b.Y1))),
		edge(math.Ceil(float64(b.X2))), edge(math.Ceil(float64(b.Y2))))
}

// Pixels returns the range of the pixels of a width × height picture whose centres lie
// inside the box: at or right of X1 and left of X2, and likewise for Y.
func (b Box) Pixels(width, height int) image.Rectangle {
	return b.pixels(width, height, func(v float64) float64 { return math.Ceil(v - 0.5) })
}

// TruncatedPixels returns the range of pixels of a width × height picture between the
// box's edges with their fractions cut off, as the reference implementation clips masks.
func (b Box) TruncatedPixels(width, height int) image.Rectangle {
	return b.pixels(width, height, math.Trunc)
}

func (b Box) pixels(width, height int, round func(float64) float64) image.Rectangle {
	if b.Empty() {
		return image.Rectangle{}
	}
	edge := func(v float32, size int) int { return int(min(max(round(float64(v)), 0), float64(size))) }
	return image.Rect(edge(b.X1, width), edge(b.Y1, height), edge(b.X2, width), edge(b.Y2, height))
}
