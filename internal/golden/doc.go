// Package golden replays expected values of the reference implementation.
//
// A golden case is a folder that is recognised by its files (see Kind). The
// package finds the folders, computes their weights from a seed and reads their
// tensors; what a case means is up to the package under test.
package golden
