package processes

import (
	"context"
	"unsafe"

	"github.com/diffusioninst/go/torch"
)

// A Number is what AllReduce adds up.
type Number interface{ float32 | float64 | int64 }

// AllReduce replaces values by their sums over all processes of g.
func AllReduce[T Number](ctx context.Context, g *Group, values []T) error {
	return g.Sum(torch.DTypeOf[T](), bytes(values))(ctx)
}

// bytes returns the memory of values.
func bytes[T Number](values []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*torch.DTypeOf[T]().Size())
}
