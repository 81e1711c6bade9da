// Package house has no code. Its tests check the structure of the module: which package
// may import which, which packages build without cgo, that importers can call all that is
// exported, that another module and the Go in the documents compile, and that the set-up
// script says what is missing.
package house
