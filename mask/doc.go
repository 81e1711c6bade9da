// Package mask holds binary instance masks and what instance segmentation does
// with them: bit-packed bitmaps, COCO run lengths, polygons, overlaps,
// morphology, label maps and drawing. It is pure Go.
//
// # Coordinates
//
// Pixel (x, y) covers the square [x, x+1) × [y, y+1): x to the right, y down, the
// origin at the picture's upper left corner. Polygon corners and boxes are in
// these units, as in COCO. Boxes as floats are x, y, width, height.
//
// # The two forms of a mask
//
// [Bitmap] stores a row in 64-bit words and is the form to compute on. [RLE]
// stores run lengths down the columns and is the form to keep and to exchange:
// the COCO API's own, to the byte. [Bitmap.RLE] and [RLE.Bitmap] are exact
// inverses of each other (up to runs of length zero, which a bitmap does not
// remember).
//
// [FromPolygons] draws polygons, [Bitmap.Polygons] and [Bitmap.Parts] trace them,
// holes included. [LabelMap] puts many masks into one picture and
// [SplitLabelMap] takes them out again; [Overlay] draws them for people.
//
// Numbers that people compare with the COCO API (areas, boxes, IoU, rasterised
// polygons, compressed strings) are that API's numbers exactly; see Lin et al.,
// Microsoft COCO: Common Objects in Context, arXiv 1405.0312.
package mask
