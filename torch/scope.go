package torch

import (
	"context"

	"github.com/diffusioninst/go/internal/libtorch"
)

// A Scope owns the tensors that are made in it. It is a stack: Mark remembers how
// many there are and Release frees the later ones. One goroutine at a time may
// use a scope. The nil scope owns nothing: its tensors are the caller's to Close.
type Scope struct {
	tensors []*Tensor
	freed   []libtorch.Handle // reused by Release
	until   context.Context   // of StopWith; nil if operators run to the end
}

// NewScope returns an empty scope, to be ended by Close. Do gives one to its function.
func NewScope() *Scope { return &Scope{} }

// StopWith makes operators on the tensors of s panic with an *Error that wraps ctx's error
// once ctx is done, so that long work ends at the next operator. It is for work that leaves
// nothing behind: not for parameters that are being changed.
func (s *Scope) StopWith(ctx context.Context) { s.until = ctx }

// A Mark is a position in a scope.
type Mark int

// Mark remembers the tensors made so far.
func (s *Scope) Mark() Mark {
	if s == nil {
		return 0
	}
	return Mark(len(s.tensors))
}

// Release frees, in one call, the tensors made since m except those in keep.
func (s *Scope) Release(m Mark, keep ...*Tensor) {
	if s == nil {
		return
	}
	later := s.tensors[m:]
	s.tensors = s.tensors[:m]
	s.freed = s.freed[:0]
	for _, t := range later {
		if t.h == nil || t.scope != s {
			continue // closed or kept meanwhile
		}
		if contains(keep, t) {
			s.tensors = append(s.tensors, t)
			continue
		}
		s.freed = append(s.freed, t.h)
		t.h = nil
	}
	clear(later[len(s.tensors)-int(m):])
	free(s.freed)
}

// Hold runs f and frees the tensors that it made in s, except the one that it returns,
// which Hold returns. f may return nil to keep none. For more than one result, or where
// the work is not a function, there are Mark and Release.
func (s *Scope) Hold(f func() *Tensor) *Tensor {
	m := s.Mark()
	kept := f()
	s.Release(m, kept)
	return kept
}

// Close frees all tensors of the scope, which can be used again.
func (s *Scope) Close() { s.Release(0) }

// own makes the scope the owner of a new handle.
func (s *Scope) own(h libtorch.Handle) *Tensor {
	live.Add(1)
	t := &Tensor{h: h, scope: s}
	if s == nil {
		t.guard()
		return t
	}
	s.tensors = append(s.tensors, t)
	return t
}

// Adopt returns another handle to t's memory, which belongs to s.
func (s *Scope) Adopt(t *Tensor) *Tensor { return s.own(libtorch.Alias(t.handle())) }

func contains(list []*Tensor, t *Tensor) bool {
	for _, u := range list {
		if u == t {
			return true
		}
	}
	return false
}

// scopeOf returns the scope of the first tensor that has one.
func scopeOf(tensors ...*Tensor) *Scope {
	for _, t := range tensors {
		if t != nil && t.scope != nil {
			return t.scope
		}
	}
	return nil
}
