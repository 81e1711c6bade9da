// Package picture reads pictures from files and resizes them to a network's input
// size, with the pixel values that PIL gives the reference implementation. It is pure Go.
//
// [Open] and [Decode] read JPEG, PNG, GIF (first frame), WebP, BMP and TIFF, and the
// formats that the program has registered with package image. The size is checked
// in the header, before any pixel is decoded. The EXIF orientation is applied, so that
// pictures of phones are upright; image.Decode does not do that.
//
// Colours are what PIL's convert("RGB") makes of them. An alpha channel is dropped,
// not composited: a transparent pixel keeps the colour that is stored below it.
// Samples of 16 bits keep their high byte. Subsampled chroma is interpolated as
// libjpeg does it, not repeated as package image does it.
package picture
