package picture

import (
	"errors"
	"strings"
)

// Kinds of an [Error], to be used with errors.Is.
var (
	// ErrEmpty says that a file has no bytes, or a picture no pixels.
	ErrEmpty = errors.New("empty")
	// ErrFormat says that the bytes are not a picture of a known format.
	ErrFormat = errors.New("not a picture of a known format")
	// ErrTruncated says that the picture ends too early.
	ErrTruncated = errors.New("truncated picture")
	// ErrCorrupt says that the picture contradicts itself or uses a feature that is not supported.
	ErrCorrupt = errors.New("picture cannot be decoded")
	// ErrTooLarge says that the picture exceeds a bound of [Options].
	ErrTooLarge = errors.New("picture too large")
	// ErrNoFiles says that an argument names no picture.
	ErrNoFiles = errors.New("no pictures found")
	// ErrChoice says that the file has several pages and none was chosen, or that what was
	// chosen does not exist.
	ErrChoice = errors.New("choose what to read")
	// ErrRead says that reading failed before anything was known about the picture.
	ErrRead = errors.New("cannot be read")
)

// Error says which picture could not be read, and why.
type Error struct {
	Path   string // file or argument; empty for a reader
	Kind   error  // one of the Err values of this package
	Reason string // more about it; may be empty
	Err    error  // cause; may be nil
}

// Error returns "picture: path: kind: reason".
func (e *Error) Error() string {
	parts := []string{"picture"}
	kind := ""
	if e.Kind != nil {
		kind = e.Kind.Error()
	}
	for _, part := range []string{e.Path, kind, e.Reason} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
