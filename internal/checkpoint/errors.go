package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Causes of a [FormatError], for errors.Is.
var (
	// ErrNotCheckpoint means that the file is something else: a picture, a web page, a Git LFS pointer.
	ErrNotCheckpoint = errors.New("not a checkpoint")
	// ErrCorrupt means that the file is truncated or contradicts itself.
	ErrCorrupt = errors.New("corrupt checkpoint")
	// ErrForbidden means that weights are objects of a class that is not known here. Its code
	// would have to be run to read them.
	ErrForbidden = errors.New("code in a pickle")
	// ErrUnsupported means that the file is valid but uses a feature that is not supported.
	ErrUnsupported = errors.New("unsupported checkpoint")
	// ErrNoAverage means that the averaged weights are wanted and absent, or the others.
	ErrNoAverage = errors.New("no such weights")
	// ErrAmbiguous means that names can be matched in more than one way.
	ErrAmbiguous = errors.New("ambiguous names")
)

// A FormatError describes what is wrong with a checkpoint file.
type FormatError struct {
	Path   string // file; empty if read from an io.ReaderAt
	Format Format // zero if not recognised
	Tensor string // name of the tensor; empty for the file as a whole
	Reason string // what is wrong, in words
	Err    error  // one of the Err values above, or the error of the underlying reader
}

// Error returns path, format, tensor and reason in one line.
func (e *FormatError) Error() string {
	var b strings.Builder
	b.WriteString("checkpoint: ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Detail())
	return b.String()
}

// Detail returns format, tensor and reason, for an error that has named the file.
func (e *FormatError) Detail() string {
	var b strings.Builder
	if e.Format != 0 {
		b.WriteString(e.Format.String() + ": ")
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, "tensor %q: ", e.Tensor)
	}
	b.WriteString(e.Reason)
	return b.String()
}

// Unwrap returns the cause.
func (e *FormatError) Unwrap() error { return e.Err }

func corrupt(format string, args ...any) *FormatError {
	return &FormatError{Reason: fmt.Sprintf(format, args...), Err: ErrCorrupt}
}

func forbidden(format string, args ...any) *FormatError {
	return &FormatError{Reason: fmt.Sprintf(format, args...), Err: ErrForbidden}
}

func unsupported(format string, args ...any) *FormatError {
	return &FormatError{Reason: fmt.Sprintf(format, args...), Err: ErrUnsupported}
}

// readError returns a FormatError for a failed read: ErrCorrupt if it was short, otherwise
// with the reader's error as the cause.
func readError(what string, err error) *FormatError {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		return corrupt("the file ends inside %s", what)
	}
	return &FormatError{Reason: fmt.Sprintf("reading %s: %v", what, err), Err: err}
}

// annotate fills the fields of a FormatError that are still empty and wraps any
// other error in one.
func annotate(err error, path string, format Format, tensor string) error {
	if err == nil {
		return nil
	}
	var e *FormatError
	if !errors.As(err, &e) {
		e = &FormatError{Reason: err.Error(), Err: err}
	}
	c := *e
	if c.Path == "" {
		c.Path = path
	}
	if c.Format == 0 {
		c.Format = format
	}
	if c.Tensor == "" {
		c.Tensor = tensor
	}
	return &c
}

// quoted shortens a name from a file for use in an error.
func quoted(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
