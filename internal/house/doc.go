// Package house has no code, only the test that holds the plan of the house: which
// package may import which, and which build without cgo.
package house
