package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/diffusioninst/go/internal/checkpoint"
	"github.com/diffusioninst/go/nuclei"
)

// builtinPrefix begins the names of checkpoints that are part of the program.
const builtinPrefix = "builtin:"

// builtins are the checkpoints in the program by name.
var builtins = map[string]func() *io.SectionReader{"nuclei": nuclei.Checkpoint}

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
	return nil, true, fmt.Errorf("%s: not one of the built-in models (%s)", name, strings.Join(builtinNames(), ", "))
}

// builtinNames returns the names of builtins with builtinPrefix, sorted.
func builtinNames() []string {
	out := slices.Sorted(maps.Keys(builtins))
	for i, name := range out {
		out[i] = builtinPrefix + name
	}
	return out
}

// weightsUsage returns what a flag for a checkpoint takes.
func weightsUsage() string {
	return "checkpoint: a file (.pth, .pkl, .safetensors) or " + strings.Join(builtinNames(), ", ")
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
