// Package torch is LibTorch for Go: tensors with explicit owners, seeded
// generators, devices, and errors that say what went wrong where.
//
// # Work and workers
//
// Tensor work runs inside Do, on a small fixed set of OS-locked workers, so that
// a thousand goroutines add no OS threads:
//
//	err := torch.Do(ctx, func(s *torch.Scope) error {
//		a := s.Randn(torch.NewGenerator(1), torch.Float32, 3, 4)
//		b := a.Mul(a).Sum()
//		fmt.Println(b.Item())
//		return nil
//	})
//
// # Owners
//
// A Scope owns the tensors that are made in it and frees them in one call when
// Do returns. The result of an operator belongs to the first scope found among
// its arguments; weights belong to none, and neither does what is computed from
// weights alone: Scope.Adopt one of them first. Hold, or Mark and Release, free
// intermediates early. Tensor.Keep takes a tensor out of its scope, for the caller to Close.
//
// # Errors
//
// A mistake inside tensor code panics with *Error (operator, shapes, LibTorch's
// message); Do recovers exactly that type and returns it.
package torch
