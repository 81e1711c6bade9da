package nn

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// A LoadError says why a model cannot have the parameters of a source, and lists
// everything that is wrong between the two. errors.Is and errors.As reach its causes:
// fs.ErrNotExist, ErrNotCheckpoint, ErrNotFinite and so on.
type LoadError struct {
	Path string // the file; "" if the source is not a file with a path
	Err  error  // why the source as a whole is of no use; nil if only parameters do not fit

	Missing    []string // parameters that the source does not have
	Unexpected []string // names that the model does not have
	Mismatched []Mismatch
	Broken     []error // values that could not be read or are not finite
}

// A Mismatch is a parameter that the source has in another shape.
type Mismatch struct {
	Name       string
	Want, Have []int
}

// A ShapeError says that a Source has a parameter in another shape.
type ShapeError struct{ Have []int }

func (e *ShapeError) Error() string { return fmt.Sprintf("has shape %v", e.Have) }

// note files what a source says of a parameter.
func (e *LoadError) note(name string, want []int, err error) {
	var shape *ShapeError
	if errors.As(err, &shape) {
		e.Mismatched = append(e.Mismatched, Mismatch{name, want, shape.Have})
		return
	}
	e.Broken = append(e.Broken, fmt.Errorf("%s: %w", name, err))
}

// orNil returns e, about a source, if anything is wrong.
func (e *LoadError) orNil(source Source) error {
	if e.Err == nil && len(e.Missing)+len(e.Unexpected)+len(e.Mismatched)+len(e.Broken) == 0 {
		return nil
	}
	if file, ok := source.(interface{ of() string }); ok {
		e.Path = file.of()
	}
	return e
}

// shard matches how the parts of a checkpoint in several files are called.
var shard = regexp.MustCompile(`-\d+-of-\d*[2-9]\d*\.\w+$|-\d+-of-\d*[1-9]\d+\.\w+$`)

// Error names the file and the cause, and lists all parameters that do not fit, one per line.
func (e *LoadError) Error() string {
	var b strings.Builder
	b.WriteString("nn: ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	if e.Err != nil {
		b.WriteString(e.cause())
	} else {
		fmt.Fprintf(&b, "the parameters do not fit the model: %d missing, %d unexpected, %d of another shape, %d unusable",
			len(e.Missing), len(e.Unexpected), len(e.Mismatched), len(e.Broken))
	}
	if shard.MatchString(e.Path) {
		b.WriteString("; by its name it is one of several files (shards): merge them into one safetensors file")
	}
	for _, name := range e.Missing {
		fmt.Fprintf(&b, "\n  missing     %s", name)
	}
	for _, name := range e.Unexpected {
		fmt.Fprintf(&b, "\n  unexpected  %s", name)
	}
	for _, m := range e.Mismatched {
		fmt.Fprintf(&b, "\n  mismatched  %s: the model wants %v, the file has %v", m.Name, m.Want, m.Have)
	}
	for _, err := range e.Broken {
		fmt.Fprintf(&b, "\n  unusable    %v", err)
	}
	return b.String()
}

// cause returns what Err says without what Error has written already: the path, and the
// name of a package.
func (e *LoadError) cause() string {
	if path := (*fs.PathError)(nil); errors.As(e.Err, &path) && path.Path == e.Path {
		return path.Err.Error()
	}
	if d, ok := e.Err.(interface{ Detail() string }); ok {
		return d.Detail()
	}
	return e.Err.Error()
}

// Unwrap returns Err and the causes of unusable parameters.
func (e *LoadError) Unwrap() []error {
	if e.Err == nil {
		return e.Broken
	}
	return append([]error{e.Err}, slices.Clone(e.Broken)...)
}
