// Package zerotest checks what exported types and functions do with nothing.
package zerotest

import (
	"context"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// Check calls functions, and all exported methods of types, which are given as pointers to their zero values, with the
// zero values of their parameters and context.Background. Those with an error among their results must
// not panic; nor may Close. Other methods must not use a nil pointer, except their receiver: of a nil pointer only
// the methods with an error and Close are called. An *Error of package torch is the error of the torch.Do around it, and
// taken as one. Errors themselves are called on their zero value only, and methods that a type
// has from an interface in it not at all.
func Check(t testing.TB, values ...any) {
	for _, v := range values {
		value := reflect.ValueOf(v)
		if value.Kind() == reflect.Func {
			name := runtime.FuncForPC(value.Pointer()).Name()
			if !fails(value.Type()) {
				t.Fatalf("%s has no error: calling it with nothing says nothing", name)
			}
			call(t, name, value)
			continue
		}
		pointer := value.Type()
		for i := range pointer.NumMethod() {
			m := pointer.Method(i)
			if promoted(pointer.Elem(), m.Name) {
				continue
			}
			name := pointer.Elem().String() + "." + m.Name
			call(t, "zero "+name, reflect.New(pointer.Elem()).Method(i))
			_, byValue := pointer.Elem().MethodByName(m.Name)
			if !byValue && !pointer.Implements(errorType) && (fails(m.Type) || m.Name == "Close") {
				call(t, "nil "+name, reflect.Zero(pointer).Method(i))
			}
		}
	}
}

// fails reports whether a function has an error among its results.
func fails(f reflect.Type) bool {
	for i := range f.NumOut() {
		if f.Out(i) == errorType {
			return true
		}
	}
	return false
}

// promoted reports whether a type has a method from an interface that is embedded in it.
func promoted(t reflect.Type, method string) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && f.Type.Kind() == reflect.Interface {
			if _, ok := f.Type.MethodByName(method); ok {
				return true
			}
		}
	}
	return false
}

// call calls f with nothing. Functions that f calls for each of several things are called, too.
func call(t testing.TB, name string, f reflect.Value) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		err, _ := r.(error)
		_, atRuntime := r.(runtime.Error)
		switch {
		case reflect.TypeOf(r).String() == "*torch.Error":
		case fails(f.Type()), strings.HasSuffix(name, ".Close"), atRuntime && strings.Contains(err.Error(), "nil pointer"):
			stack := make([]byte, 1<<14)
			stack = stack[:runtime.Stack(stack, false)]
			t.Errorf("%s: %v\n%s", name, r, regexp.MustCompile(`(?s)^.*\npanic\(.*?\n.*?\n`).ReplaceAll(stack, nil))
		}
	}()
	var in []reflect.Value
	n := f.Type().NumIn()
	if f.Type().IsVariadic() {
		n--
	}
	for i := range n {
		in = append(in, argument(f.Type().In(i), fails(f.Type())))
	}
	for _, out := range f.Call(in) {
		if out.Kind() == reflect.Func && !out.IsNil() && out.Type().CanSeq() {
			for range out.Seq() {
				break
			}
		}
	}
}

// argument is nothing of a type; but a function that cannot say that it lacks one gets one that returns nothing.
func argument(t reflect.Type, nothing bool) reflect.Value {
	switch {
	case t == contextType:
		return reflect.ValueOf(context.Background())
	case t.Kind() == reflect.Func && !nothing:
		return reflect.MakeFunc(t, func([]reflect.Value) (out []reflect.Value) {
			for i := range t.NumOut() {
				out = append(out, reflect.Zero(t.Out(i)))
			}
			return out
		})
	}
	return reflect.Zero(t)
}
