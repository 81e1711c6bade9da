// Package libtorchenv finds the LibTorch on a machine, the compiler and linker
// flags that build against it, and whatever else the module needs there. It is
// pure Go, so that it works before any LibTorch is installed.
package libtorchenv
