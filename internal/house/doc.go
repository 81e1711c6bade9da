// Package house has no code. Its tests check the structure of the module: which package
// may import which, which packages build without cgo, and that the set-up script says
// what is missing.
package house
