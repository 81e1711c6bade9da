// Package libtorchenv finds the LibTorch on a machine, the compiler and linker flags to
// build against it, and whatever else the module needs there. It is pure Go and so works
// before any LibTorch is installed.
package libtorchenv
