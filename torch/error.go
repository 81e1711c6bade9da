package torch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/diffusioninst/go/internal/libtorch"
)

// An Error is a failed operator. Tensor code panics with it; Do returns it.
type Error struct {
	Op      string   // operator, such as "matmul"
	Shapes  []string // type and shape of its tensors, such as "float32[3 4]"
	Message string   // LibTorch's own words
	Err     error    // cause, such as the error of Scope.StopWith's context; may be nil
}

// ErrOutOfMemory is the cause of an *Error if the memory of the host or of a GPU did not suffice.
// LibTorch's GPU allocator has then given back what it keeps of freed tensors, and tried again.
var ErrOutOfMemory = errors.New("torch: out of memory")

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	if len(e.Shapes) == 0 {
		return fmt.Sprintf("torch: %s: %s", e.Op, e.Message)
	}
	return fmt.Sprintf("torch: %s(%s): %s", e.Op, strings.Join(e.Shapes, ", "), e.Message)
}

// check panics with *Error if e is one. It keeps the tensors alive up to here.
func check(op string, e *libtorch.Error, tensors ...*Tensor) {
	if e != nil {
		err := describe(op, e.Message, tensors...)
		if e.OutOfMemory {
			err.Err = ErrOutOfMemory
		}
		panic(err)
	}
	keepAlive(tensors)
}

func fail(op, message string, tensors ...*Tensor) { panic(describe(op, message, tensors...)) }

func describe(op, message string, tensors ...*Tensor) *Error {
	err := &Error{Op: op, Message: strings.TrimSpace(message)}
	for _, t := range tensors {
		if t != nil && t.h != nil {
			err.Shapes = append(err.Shapes, fmt.Sprintf("%v%v", t.DType(), t.Shape()))
		}
	}
	return err
}
