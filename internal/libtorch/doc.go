// Package libtorch binds LibTorch and is the only package that uses cgo.
//
// Operators are generated from ops.txt by go generate; border.cc holds the rest of the C
// interface. Each fused kernel that LibTorch lacks has a file of its own; the CUDA versions
// are in cuda/, and gpu.cc compiles them with NVRTC on first use.
// Functions take and return raw handles; package torch gives them owners.
package libtorch

//go:generate go run ./gen
