// Package libtorch binds LibTorch; it and internal/processes are the packages that use cgo.
//
// Operators are generated from ops.txt by go generate; border.hpp holds the rest of the C
// interface. Each fused kernel that LibTorch lacks has a file of its own; the CUDA versions
// are in cuda/, and gpu.hpp compiles them with NVRTC on first use.
// The compiler reads the .hpp files in a few units (unit_*.cc): most of its time went into LibTorch's headers,
// which it read once per file. Names in anonymous namespaces therefore differ within a unit.
// Functions take and return raw handles; package torch gives them owners.
package libtorch

//go:generate go run ./gen
