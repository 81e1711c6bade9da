// Package jpeg reads JPEG pictures of 8 bits with Huffman coding, sequential and progressive
// (ITU-T T.81), with the samples that libjpeg gives with its accurate integer transform. It
// reads what package image/jpeg refuses and libjpeg reads: any sampling factors, restart
// markers in scans of a single component, where they count blocks (A.2.2), and files without
// Huffman tables, as cameras write in motion JPEG.
//
// Sequential files are decoded in one pass over rows of MCUs, in several goroutines: one at a
// time reads Huffman codes, while the others transform the rows that were read before and hand
// them on.
package jpeg
