package torch

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnsetDTypeIsRefusedWhereOneIsNeeded(t *testing.T) {
	for name, f := range map[string]func(s *Scope){
		"zeros":      func(s *Scope) { s.Zeros(Options{}, 2) },
		"empty":      func(s *Scope) { s.Empty(Options{}, 2) },
		"arange":     func(s *Scope) { s.Arange(2, Options{}) },
		"from bytes": func(s *Scope) { s.FromBytes([]byte{1}, 0, CPU, 1) },
		"randn":      func(s *Scope) { s.Randn(NewGenerator(1), 0, 2) },
		"to":         func(s *Scope) { s.Zeros(F32(CPU), 2).ToDType(0) },
	} {
		t.Run(name, func(t *testing.T) {
			var e *Error
			err := Do(context.Background(), func(s *Scope) error { f(s); return nil })
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, "the element type is unset")
		})
	}
}

func TestDTypesAreLibTorchs(t *testing.T) {
	require.NoError(t, Do(context.Background(), func(s *Scope) error {
		for _, d := range []DType{Uint8, Int8, Int16, Int32, Int64, Float16, Float32, Float64, Bool, BFloat16} {
			x := s.Zeros(Options{DType: d}, 3)
			require.Equal(t, d, x.DType())
			require.Len(t, x.Bytes(), 3*d.Size(), "%v", d)
		}
		return nil
	}))
}
