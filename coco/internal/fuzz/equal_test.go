package fuzz

import (
	"reflect"
	"testing"
)

// same fails the test if two values differ in an exported field. Empty slices and maps equal nil.
func same(t *testing.T, want, got any) {
	if !equal(reflect.ValueOf(want), reflect.ValueOf(got)) {
		t.Helper()
		t.Fatalf("read again:\n%+v\nwant:\n%+v", got, want)
	}
}

func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return a.IsNil() == b.IsNil() && (a.IsNil() || equal(a.Elem(), b.Elem()))
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !equal(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for key, v := range a.Seq2() {
			if other := b.MapIndex(key); !other.IsValid() || !equal(v, other) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).IsExported() && !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Float64:
		return a.Float() == b.Float() || a.Float() != a.Float() && b.Float() != b.Float()
	}
	return a.Equal(b)
}

func TestSame(t *testing.T) {
	type pair struct {
		A []int
		B map[string]float64
	}
	for _, c := range []struct {
		a, b pair
		want bool
	}{
		{pair{}, pair{[]int{}, map[string]float64{}}, true},
		{pair{A: []int{1}}, pair{A: []int{1}}, true},
		{pair{A: []int{1}}, pair{A: []int{2}}, false},
		{pair{A: []int{1}}, pair{}, false},
		{pair{B: map[string]float64{"a": 1}}, pair{B: map[string]float64{"a": 1}}, true},
		{pair{B: map[string]float64{"a": 1}}, pair{B: map[string]float64{"b": 1}}, false},
	} {
		if equal(reflect.ValueOf(&c.a), reflect.ValueOf(&c.b)) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
