// Package tiff reads TIFF and BigTIFF files: their pages, what axes the pages are
// along, and samples of any type. Pages are decoded when they are asked for.
//
// It follows TIFF 6.0 and its technical notes, the BigTIFF proposal, and what libtiff,
// ImageJ, tifffile and OME-TIFF writers put on top of these. Colours are left as stored:
// package picture makes RGB of them.
//
// What a hostile file can ask for is bounded: directories and values by the file's size,
// the rest by what the file's bytes decompress to, since buffers grow as data arrives.
package tiff
