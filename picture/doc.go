// Package picture reads pictures from files and resizes them to a network's input
// size, with the pixel values that PIL gives the reference implementation. It is pure Go.
//
// [Open] and [Decode] read JPEG, PNG, GIF (first frame), WebP, BMP, DIB, TIFF, PNM, TGA, PCX,
// SGI, QOI, ICO and CUR, and the formats that the program has registered with package image. The size is checked
// in the header, before any pixel is decoded. The EXIF orientation is applied, so that
// pictures of phones are upright; image.Decode does not do that. An orientation that only XMP
// metadata has is not.
//
// A [Picture] has the depth of its file: samples of more than 8 bits are brought to the 8
// bits of a network by [Normalize], once per picture. Of TIFF files [Options] choose pages,
// channels, slices, times and scenes, by the axes that OME-TIFF and ImageJ write down; a file that leaves a
// choice between pages is an error that lists them. Formats of microscopes and scanners that
// are not read are recognised, and the error says what to export.
//
// Colours are what PIL's convert("RGB") makes of them. An alpha channel is dropped,
// not composited: a transparent pixel keeps the colour that is stored below it.
// Subsampled chroma is interpolated as libjpeg does it, not repeated as package image does
// it.
package picture
