// Package fuzz has the fuzz targets of coco's readers. Go's fuzzer counts the coverage of all
// imported packages after every input: without those that coco's other tests import there is a
// quarter as much to count, and each input takes a third of the time.
package fuzz
