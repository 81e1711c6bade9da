package torch_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/diffusioninst/go/torch"
)

// Tensors live in the scope that Do gives to its function; plain slices leave it.
func Example() {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		a := torch.From(s, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
		b := a.Transpose(0, 1)
		fmt.Println(b.Shape(), torch.Values[float32](a.Matmul(b)))
		return nil
	})
	fmt.Println(err)
	// Output:
	// [3 2] [14 32 32 77]
	// <nil>
}

// Mistakes in tensor code end the function; Do returns them as *Error.
func ExampleDo_error() {
	err := torch.Do(context.Background(), func(s *torch.Scope) error {
		a := s.Zeros(torch.F32(torch.CPU), 2, 3)
		a.Matmul(a)
		return nil
	})
	var e *torch.Error
	if errors.As(err, &e) {
		fmt.Println(e.Op, e.Shapes)
	}
	// Output: matmul [float32[2 3] float32[2 3]]
}

// Of what is made inside of Hold only the result stays.
func ExampleScope_Hold() {
	_ = torch.Do(context.Background(), func(s *torch.Scope) error {
		x := torch.From(s, []float32{3, 4})
		before := torch.Live()
		norm := s.Hold(func() *torch.Tensor { return x.Mul(x).Sum().Sqrt() })
		fmt.Println(norm.Item(), torch.Live()-before)
		return nil
	})
	// Output: 5 1
}

// A seed gives the same numbers on every device.
func ExampleGenerator() {
	_ = torch.Do(context.Background(), func(s *torch.Scope) error {
		a := s.Randn(torch.NewGenerator(7), torch.Float32, 3, 4)
		b := s.Randn(torch.NewGenerator(7), torch.Float32, 3, 4)
		fmt.Println(a.Shape(), a.Eq(b).All().Item() == 1)
		return nil
	})
	// Output: [3 4] true
}
