// Package golden finds and reads golden cases: inputs, weights and expected values
// that were computed with the reference implementation.
//
// A case is a folder that is recognised by the files in it (see [Kind]). The package
// finds the folders and computes their weights from a seed; what a case means is up to
// the package under test.
package golden
