// Package libtorch is the border to LibTorch and the only package that uses cgo.
//
// Operators are generated from ops.txt (go generate); border.cc holds what is no
// operator, and one file each the fused kernels for which LibTorch has none; cuda/ has those
// for GPUs, which gpu.cc compiles when they are first used.
// Everything here works on raw handles; package torch gives them owners.
package libtorch

//go:generate go run ./gen
