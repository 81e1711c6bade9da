// Package jpeg reads JPEG pictures that image/jpeg refuses and libjpeg reads: progressive
// ones with restart markers whose scans hold a single component, any sampling factors, tables
// left out because they are the standard's (as cameras do in motion JPEG), and 2 components.
// Huffman coding of 8 bits, sequential and progressive (ITU-T T.81).
//
// In a scan of a single component an MCU is one block (A.2.2), so that restarts count
// blocks there; image/jpeg counts the MCUs of the whole picture.
package jpeg
