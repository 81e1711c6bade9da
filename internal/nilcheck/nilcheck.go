// Package nilcheck finds arguments that are missing although they have a type.
package nilcheck

import (
	"errors"
	"io"
	"reflect"
)

// Is reports whether v is nil, or an interface that holds a nil pointer, map, slice, function
// or channel.
func Is(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return r.IsNil()
	}
	return false
}

// Writer returns w or, if it is nil, a writer that fails and says so.
func Writer(w io.Writer) io.Writer {
	if Is(w) {
		return noWriter{}
	}
	return w
}

type noWriter struct{}

func (noWriter) Write([]byte) (int, error) { return 0, errors.New("there is no writer") }
