package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/checkpoint"
)

// builtinPrefix begins the names of checkpoints that are part of the program.
const builtinPrefix = "builtin:"

// builtins are the checkpoints in the program by name. There are none without cgo.
var builtins = map[string]func() *io.SectionReader{}

// openBuiltin opens the checkpoint of a name with builtinPrefix. found is false for any
// other name, which is a file's.
func openBuiltin(name string) (r *io.SectionReader, found bool, err error) {
	short, found := strings.CutPrefix(name, builtinPrefix)
	if !found {
		return nil, false, nil
	}
	if open := builtins[short]; open != nil {
		return open(), true, nil
	}
	known := builtinNames()
	if len(known) == 0 {
		return nil, true, fmt.Errorf("%s: no model is built into this program; name a checkpoint's file", name)
	}
	return nil, true, fmt.Errorf("%s: not one of the built-in models (%s)", name, strings.Join(known, ", "))
}

// builtinNames returns the names of builtins with builtinPrefix, sorted.
func builtinNames() []string {
	out := slices.Sorted(maps.Keys(builtins))
	for i, name := range out {
		out[i] = builtinPrefix + name
	}
	return out
}

// orBuiltin returns ` or builtin:NAME` for a model that is there, or nothing.
func orBuiltin() string {
	if known := builtinNames(); len(known) > 0 {
		return " or " + known[0]
	}
	return ""
}

// weightsUsage returns what a flag for a checkpoint takes.
func weightsUsage() string {
	text := "checkpoint: a file (.pth, .pkl, .safetensors)"
	if known := builtinNames(); len(known) > 0 {
		text += " or " + strings.Join(known, ", ")
	}
	return text
}

// openCheckpoint opens a checkpoint: a file or one of builtins. The caller closes it.
func openCheckpoint(weights string) (*checkpoint.File, error) {
	r, found, err := openBuiltin(weights)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return checkpoint.Open(weights)
	}
	f, err := checkpoint.Read(r, r.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", weights, err)
	}
	return f, nil
}
